/*
 * soft_delete.c
 *	  Initializes the library: calls the init function of each file that installs
 *	  hooks or defines settings.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/plancache.h"

#include "ddl/sd_ddl.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * Install the hooks and settings of every file.
 */
void
_PG_init(void)
{
	init_membership();
	init_relation();
	init_tagged();
	init_written();
	init_time_limit();
	init_bridge();
	init_filter();
	init_modify();
	init_outdated();
	init_inline();
	init_stamp();
	init_chain();
	init_counter();
	init_sample();
	init_utility();
	init_forget();
	init_copied();
	init_actor();
	init_ledger();
	init_truncate();
	init_skip();
	init_parents();
	init_bin();
	init_delete();
	init_sharded();
	init_purge();
	init_worker();
	init_extension();
	MarkGUCPrefixReserved("soft_delete");

	/* plans that were made before do not have the live filter */
	if (!process_shared_preload_libraries_in_progress)
		ResetPlanCache();
}
