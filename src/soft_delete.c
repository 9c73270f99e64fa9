/*
 * soft_delete.c
 *	  Loads the library: each file installs its own hooks and settings.
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "fmgr.h"
#include "utils/guc.h"

#include "soft_delete.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(soft_delete_load);

void _PG_init(void);

/*
 * Install the hooks and settings of every file.
 */
void
_PG_init(void)
{
	init_tag();
	init_filter();
	init_write();
	init_stamp();
	init_utility();
	init_ledger();
	init_displaced();
	init_stand_in();
	init_delete();
	MarkGUCPrefixReserved("soft_delete");
}

/*
 * soft_delete.load() returns event_trigger
 *
 * Do nothing: that it is called has loaded the library, which is all that the
 * login event trigger wants.
 */
Datum
soft_delete_load(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function \"%s\" must be called by an event trigger",
							   "soft_delete.load")));
	PG_RETURN_NULL();
}
