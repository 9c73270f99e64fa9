/*
 * sd_bin.h
 *	  Bins: the views that list tombstones, and bring them back or destroy them.
 */
#ifndef SD_BIN_H
#define SD_BIN_H

#include "references/sd_references.h"

/*
 * bin.c: the triggers of a bin
 */
extern void init_bin(void);

/*
 * restore.c: tombstones come back to life
 */
extern void restore_cascade(Cascade *cascade);

#endif /* SD_BIN_H */
