/*
 * worker.c
 *	  Purges in the background.
 *
 * Where the library is in shared_preload_libraries, a launcher starts a worker
 * for each database of soft_delete.purge_databases every
 * soft_delete.purge_interval, unless the previous worker of that database is still
 * running.  The worker executes CALL soft_delete.purge(), makes the live keys that are
 * missing, and exits; how a purge works is not known here.  On a standby the launcher does
 * not run; it starts when the standby is promoted.
 *
 * Invariant: a worker that fails, because its database does not exist or because
 * it crashes, does not affect the workers of other databases, and is started again
 * after the next interval.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "purge/sd_purge.h"

#define PURGE_STATEMENT "CALL soft_delete.purge()"
#define LIVE_KEYS_QUERY "SELECT * FROM soft_delete_internal.live_key_commands()"

/* How long a worker waits for a lock on a table before the purge of that table fails */
#define WORKER_LOCK_TIMEOUT "1min"

/* A database that is purged, and its worker */
typedef struct PurgedDatabase
{
	char *name;
	TimestampTz next;				/* when to start the next worker */
	BackgroundWorkerHandle *handle; /* of the running worker, or NULL */
} PurgedDatabase;

static char *purge_databases = NULL;
static int purge_interval = 3600;
static int purge_grace = -1;
static bool makes_live_keys = true;

/* Is this process a worker? */
static bool is_worker = false;

PG_FUNCTION_INFO_V1(soft_delete_purge_grace);

PGDLLEXPORT void soft_delete_launch_purges(Datum arg);
PGDLLEXPORT void soft_delete_purge_database(Datum arg);

static bool check_purge_databases(char **newval, void **extra, GucSource source);
static bool is_listed(const char *database);
static void register_launcher(void);
static List *list_databases(List *known);
static PurgedDatabase *find_database(List *databases, const char *name);
static long start_due_workers(List *databases);
static void start_worker(PurgedDatabase *database);
static bool has_extension(void);
static void make_live_keys(void);
static int milliseconds_since(TimestampTz time);
static List *read_live_key_commands(MemoryContext context);
static void run_statement(const char *statement);

/*
 * Define the settings of the worker, and register its launcher.
 */
void
init_worker(void)
{
	DefineCustomStringVariable("soft_delete.purge_databases",
							   "Lists the databases that a background worker purges.",
							   "A comma-separated list of names; none if empty. Needs the library in shared_preload_libraries.",
							   &purge_databases, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   check_purge_databases, NULL, NULL);
	DefineCustomIntVariable("soft_delete.purge_interval",
							"Sets the time between two purges of a database.",
							"Measured from one start to the next. If a purge takes longer, the next one starts at once.",
							&purge_interval, 3600, 1, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("soft_delete.purge_grace",
							"Sets how long a purge keeps to the former retention after it was shortened.",
							"-1 is soft_delete.purge_interval where soft_delete.purge_databases lists the database, and else none.",
							&purge_grace, -1, -1, INT_MAX / 1000, PGC_USERSET,
							GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("soft_delete.live_keys",
							 "Sets whether the worker that purges makes live keys.",
							 "A live key is an index on live rows in the order of a key that keeps deleted rows. The worker makes it concurrently, once most of a table is deleted.",
							 &makes_live_keys, true, PGC_SIGHUP, 0, NULL, NULL,
							 NULL);
	if (process_shared_preload_libraries_in_progress)
		register_launcher();
}

/*
 * Check hook of soft_delete.purge_databases: the value must be a list of names.
 */
static bool
check_purge_databases(char **newval, void **extra, GucSource source)
{
	char *copy = pstrdup(*newval);
	List *names = NIL;
	bool is_good = SplitIdentifierString(copy, ',', &names);

	if (!is_good)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return is_good;
}

/*
 * soft_delete_internal.purge_grace() returns interval
 *
 * Returns how long a former, longer retention stays in force.
 */
Datum
soft_delete_purge_grace(PG_FUNCTION_ARGS)
{
	Interval *grace = palloc0(sizeof(Interval));
	int seconds = purge_grace;

	if (seconds < 0)
	{
		seconds = is_listed(get_database_name(MyDatabaseId)) ? purge_interval : 0;
	}
	grace->time = seconds * USECS_PER_SEC;
	PG_RETURN_INTERVAL_P(grace);
}

/*
 * Is a database in soft_delete.purge_databases?
 */
static bool
is_listed(const char *database)
{
	List *names = NIL;
	ListCell *lc;

	(void) SplitIdentifierString(pstrdup(purge_databases), ',', &names);
	foreach (lc, names)
	{
		if (strcmp(lfirst(lc), database) == 0)
			return true;
	}
	return false;
}

/*
 * Register the launcher.
 */
static void
register_launcher(void)
{
	BackgroundWorker worker = {
		.bgw_name = "soft_delete purge launcher",
		.bgw_type = "soft_delete purge launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = 10,
		.bgw_library_name = "soft_delete",
		.bgw_function_name = "soft_delete_launch_purges",
	};

	RegisterBackgroundWorker(&worker);
}

/*
 * Main function of the launcher: start each worker when it is due, and sleep
 * meanwhile.  It exits with status 1, after which the postmaster starts a new
 * launcher, unless the postmaster itself is shutting down.
 */
void
soft_delete_launch_purges(Datum arg)
{
	List *databases;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGUSR1, procsignal_sigusr1_handler); /* a worker has ended */
	BackgroundWorkerUnblockSignals();

	databases = list_databases(NIL);
	while (!ShutdownRequestPending)
	{
		long timeout = start_due_workers(databases);

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
							 (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			databases = list_databases(databases);
		}
	}
	proc_exit(1);
}

/*
 * Return the databases (PurgedDatabase) that soft_delete.purge_databases lists.
 * Those that are among the known ones keep their worker and its schedule.
 */
static List *
list_databases(List *known)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	TimestampTz now = GetCurrentTimestamp();
	char *copy = pstrdup(purge_databases);
	List *names = NIL;
	List *databases = NIL;
	ListCell *lc;

	(void) SplitIdentifierString(copy, ',', &names);
	foreach (lc, names)
	{
		PurgedDatabase *database = find_database(known, lfirst(lc));

		if (find_database(databases, lfirst(lc)) != NULL)
			continue;
		if (database == NULL)
		{
			database = palloc0(sizeof(PurgedDatabase));
			database->name = pstrdup(lfirst(lc));
			database->next = now;
		}
		databases = lappend(databases, database);
	}
	list_free(names);
	pfree(copy);
	MemoryContextSwitchTo(oldcontext);
	return databases;
}

/*
 * Find a database in a list by its name.  Returns NULL if it is not there.
 */
static PurgedDatabase *
find_database(List *databases, const char *name)
{
	ListCell *lc;

	foreach (lc, databases)
	{
		PurgedDatabase *database = lfirst(lc);

		if (strcmp(database->name, name) == 0)
			return database;
	}
	return NULL;
}

/*
 * Start the workers that are due.  Returns the time until the next one is due in
 * milliseconds, or -1 if the launcher has nothing to do until it is signaled.
 */
static long
start_due_workers(List *databases)
{
	TimestampTz now = GetCurrentTimestamp();
	long timeout = -1;
	ListCell *lc;

	foreach (lc, databases)
	{
		PurgedDatabase *database = lfirst(lc);
		pid_t pid;
		long wait;

		/* the interval may have become shorter, or the clock may have been set back */
		database->next =
			Min(database->next,
				TimestampTzPlusMilliseconds(now, purge_interval * INT64CONST(1000)));

		if (database->handle != NULL &&
			GetBackgroundWorkerPid(database->handle, &pid) == BGWH_STOPPED)
		{
			pfree(database->handle);
			database->handle = NULL;
		}
		if (database->handle != NULL)
			continue; /* the postmaster signals its end */
		if (database->next <= now)
			start_worker(database);
		wait = TimestampDifferenceMilliseconds(now, database->next);
		if (database->handle == NULL && (timeout < 0 || wait < timeout))
			timeout = wait;
	}
	return timeout;
}

/*
 * Start the worker of a database, and schedule the next one.
 */
static void
start_worker(PurgedDatabase *database)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker = {
		.bgw_type = "soft_delete purge",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "soft_delete",
		.bgw_function_name = "soft_delete_purge_database",
		.bgw_notify_pid = MyProcPid,
	};

	snprintf(worker.bgw_name, BGW_MAXLEN, "soft_delete purge of %s", database->name);
	strlcpy(worker.bgw_extra, database->name, BGW_EXTRALEN);
	database->next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												 purge_interval * INT64CONST(1000));
	if (!RegisterDynamicBackgroundWorker(&worker, &database->handle))
	{
		database->handle = NULL;
		ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					  errmsg("could not start a background worker that purges database \"%s\"",
							 database->name),
					  errhint("ALTER SYSTEM SET max_worker_processes = %d;",
							  2 * max_worker_processes)));
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Is this process a worker, and is the purge due that follows the one which has started then?
 */
bool
next_purge_is_due(TimestampTz started)
{
	return is_worker && TimestampDifferenceExceeds(started, GetCurrentTimestamp(),
												   purge_interval * 1000);
}

/*
 * Main function of a worker: purge one database once.
 */
void
soft_delete_purge_database(Datum arg)
{
	is_worker = true;
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnection(MyBgworkerEntry->bgw_extra, NULL, 0);
	/* a setting of the database or the role overrides this one */
	SetConfigOption("lock_timeout", WORKER_LOCK_TIMEOUT, PGC_USERSET,
					PGC_S_DYNAMIC_DEFAULT);
	if (has_extension())
	{
		run_statement(PURGE_STATEMENT);
		if (makes_live_keys)
			make_live_keys();
	}
	else
		ereport(LOG, (errmsg("database \"%s\" was not purged because it does not have extension \"soft_delete\"",
							 MyBgworkerEntry->bgw_extra)));
}

/*
 * Does the database have the extension?
 */
static bool
has_extension(void)
{
	bool found;

	StartTransactionCommand();
	found = OidIsValid(get_extension_oid("soft_delete", true));
	CommitTransactionCommand();
	return found;
}

/*
 * Make the live keys that are missing.  One that cannot be made is reported, and does not
 * keep the others from being made.  When the next purge is due, what is left waits: each
 * of them may have waited for transactions, as long as lock_timeout says.  One that is being
 * made then is canceled, for the server calls code of the table's owner to make it, which
 * may never end.
 */
static void
make_live_keys(void)
{
	TimestampTz started = GetCurrentTimestamp();
	ListCell *lc;

	foreach (lc, read_live_key_commands(TopMemoryContext))
	{
		if (next_purge_is_due(started))
			break;
		PG_TRY();
		{
			begin_command_limit(purge_interval * 1000 - milliseconds_since(started));
			run_statement(lfirst(lc));
			(void) end_command_limit();
			ereport(LOG, (errmsg("soft_delete: %s", (char *) lfirst(lc))));
		}
		PG_CATCH();
		{
			bool is_late;

			HOLD_INTERRUPTS();
			is_late = end_command_limit();
			EmitErrorReport();
			AbortCurrentTransaction();
			FlushErrorState();
			RESUME_INTERRUPTS();
			if (is_late)
				ereport(LOG, (errmsg("canceled, for the next purge is due: %s",
									 (char *) lfirst(lc))));
		}
		PG_END_TRY();
	}
}

/*
 * Return how many milliseconds have passed since a time, up to the longest interval.
 */
static int
milliseconds_since(TimestampTz time)
{
	return Min(TimestampDifferenceMilliseconds(time, GetCurrentTimestamp()),
			   purge_interval * INT64CONST(1000));
}

/*
 * Return the commands that make the live keys that are missing, in a memory context.
 */
static List *
read_live_key_commands(MemoryContext context)
{
	List *commands = NIL;
	MemoryContext oldcontext;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute(LIVE_KEYS_QUERY, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read which live keys are missing");
	oldcontext = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		commands = lappend(commands, SPI_getvalue(SPI_tuptable->vals[i],
												  SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(oldcontext);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return commands;
}

/*
 * Run a statement in a portal, as one of a client is, so that it can commit.
 */
static void
run_statement(const char *statement)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "soft_delete worker",
							  ALLOCSET_DEFAULT_SIZES);
	RawStmt *parsed;
	List *planned;
	Portal portal;
	QueryCompletion completion;

	debug_query_string = statement;
	pgstat_report_activity(STATE_RUNNING, statement);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* the statement outlives the transaction that it begins in */
	MemoryContextSwitchTo(context);

	PushActiveSnapshot(GetTransactionSnapshot());
	parsed = linitial_node(RawStmt, pg_parse_query(statement));
	planned = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(parsed, statement,
																 NULL, 0, NULL),
							  statement, 0, NULL);
	PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, statement, CreateCommandTag(parsed->stmt),
					  planned, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) run_portal(portal, None_Receiver, &completion);
	PortalDrop(portal, false);

	CommitTransactionCommand();
	MemoryContextDelete(context);
	pgstat_report_activity(STATE_IDLE, NULL);
}
