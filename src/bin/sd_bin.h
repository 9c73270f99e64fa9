/*
 * sd_bin.h
 *	  Bins: the views that list tombstones, to restore and to purge them.
 */
#ifndef SD_BIN_H
#define SD_BIN_H

#include "references/sd_references.h"

/*
 * bin.c: the triggers of bins
 */
extern void init_bin(void);

/*
 * restore.c: restores the tombstones of a cascade
 */
extern void restore_cascade(Cascade *cascade);

#endif /* SD_BIN_H */
