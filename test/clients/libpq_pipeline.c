/*
 * libpq in pipeline mode: deletes among other statements, errors in
 * mid-pipeline, single-row mode, prepared statements across a delete, COPY.
 *
 * packages: libpq-dev gcc
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpq-fe.h"

static PGconn *conn;

/* Fails in a way that the runner reports. */
static void
must(int ok, const char *what)
{
	if (!ok)
	{
		fprintf(stderr, "%s: %s\n", what, PQerrorMessage(conn));
		exit(1);
	}
}

static const char *
field(PGresult *res, int code)
{
	const char *text = PQresultErrorField(res, code);

	return text ? text : "-";
}

/* Prints whatever a result tells. */
static void
show(PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);
	int row, column;

	printf("  %s", PQresStatus(status));
	if (status == PGRES_FATAL_ERROR)
		printf(" %s %s %s \"%s\"", field(res, PG_DIAG_SQLSTATE), field(res, PG_DIAG_TABLE_NAME),
			   field(res, PG_DIAG_CONSTRAINT_NAME), field(res, PG_DIAG_MESSAGE_PRIMARY));
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		printf(" %s, tuples %s", PQcmdStatus(res), PQcmdTuples(res));
	for (row = 0; row < PQntuples(res); row++)
	{
		printf("\n   ");
		for (column = 0; column < PQnfields(res); column++)
			printf(" %s=%s", PQfname(res, column), PQgetisnull(res, row, column) ? "null" : PQgetvalue(res, row, column));
	}
	printf("\n");
}

/* Runs statements one by one, in simple protocol. */
static void
run(const char *sql)
{
	PGresult *res = PQexec(conn, sql);

	printf("%s\n", sql);
	show(res);
	PQclear(res);
}

/* Sends a statement with up to two parameters into the pipeline, which it enters. */
static void
push(const char *sql, const char *first, const char *second)
{
	const char *values[] = {first, second};

	must(PQenterPipelineMode(conn), "PQenterPipelineMode");
	printf("> %s (%s, %s)\n", sql, first ? first : "null", second ? second : "null");
	must(PQsendQueryParams(conn, sql, second ? 2 : first ? 1 : 0, NULL, values, NULL, NULL, 0), "PQsendQueryParams");
}

static void
push_prepared(const char *name, const char *value)
{
	printf("> execute %s (%s)\n", name, value);
	must(PQsendQueryPrepared(conn, name, 1, &value, NULL, NULL, 0), "PQsendQueryPrepared");
}

/* Prints the results up to and including the last one of so many syncs, and leaves the pipeline. */
static void
sync_and_show(int syncs)
{
	must(PQpipelineSync(conn), "PQpipelineSync");
	while (syncs > 0)
	{
		PGresult *res = PQgetResult(conn);

		if (res == NULL)
			continue;			/* the end of a statement's results */
		show(res);
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
			syncs--;
		PQclear(res);
	}
	must(PQexitPipelineMode(conn), "PQexitPipelineMode");
}

static void
make_schema(void)
{
	run("CREATE TABLE account (id int PRIMARY KEY, email text NOT NULL UNIQUE, balance int NOT NULL CHECK (balance >= 0))");
	run("CREATE TABLE transfer (id serial PRIMARY KEY, account_id int NOT NULL REFERENCES account, amount int)");
	run("CREATE TABLE login (account_id int REFERENCES account ON DELETE CASCADE, device text, PRIMARY KEY (account_id, device))");
	run("INSERT INTO account SELECT n, 'a' || n, n FROM generate_series(1, 9) n");
	run("INSERT INTO login SELECT n, d FROM generate_series(1, 9) n, unnest('{phone,desk}'::text[]) d");
	run("INSERT INTO transfer (account_id, amount) SELECT n % 3 + 1, n FROM generate_series(1, 6) n");
}

/* One implicit transaction: everything is kept, or nothing. */
static void
one_transaction(void)
{
	printf("-- one_transaction\n");
	push("DELETE FROM account WHERE id = $1 RETURNING id, email, balance", "9", NULL);
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 0) RETURNING id, email", "9", "a9");
	push("DELETE FROM account WHERE id = $1 RETURNING id, email, balance", "9", NULL);
	push("DELETE FROM account WHERE id = $1", "9", NULL);
	push("SELECT count(*) FROM login WHERE account_id = $1", "9", NULL);
	push("INSERT INTO login VALUES ($1, $2)", "8", "tablet");
	sync_and_show(1);
}

/* An error aborts what comes before the sync and skips the rest. */
static void
errors_in_mid_pipeline(void)
{
	printf("-- errors_in_mid_pipeline\n");
	push("DELETE FROM account WHERE id = $1", "8", NULL);
	push("INSERT INTO login VALUES ($1, $2)", "8", "watch");
	push("DELETE FROM account WHERE id = $1", "7", NULL);
	sync_and_show(1);
	run("SELECT count(*), min(id), max(id) FROM account");

	push("DELETE FROM account WHERE id = $1", "1", NULL);
	push("DELETE FROM account WHERE id = $1", "6", NULL);
	must(PQpipelineSync(conn), "PQpipelineSync");
	push("DELETE FROM account WHERE id = $1 RETURNING email", "6", NULL);
	must(PQpipelineSync(conn), "PQpipelineSync");
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 0)", "60", "a6");
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 0)", "61", "a6");
	must(PQpipelineSync(conn), "PQpipelineSync");
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, -1)", "6", "a6");
	must(PQpipelineSync(conn), "PQpipelineSync");
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 0)", "6", "a6");
	sync_and_show(5);
	run("SELECT count(*), sum(balance) FROM account");
}

/* Explicit transactions in a pipeline, with a savepoint. */
static void
transaction_block(void)
{
	printf("-- transaction_block\n");
	push("BEGIN", NULL, NULL);
	push("DELETE FROM account WHERE id = $1", "5", NULL);
	push("SAVEPOINT s", NULL, NULL);
	push("DELETE FROM account WHERE id = $1", "4", NULL);
	push("ROLLBACK TO s", NULL, NULL);
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 50) ON CONFLICT (id) DO UPDATE SET balance = 99 RETURNING id, email, balance", "5", "a5");
	push("INSERT INTO account (id, email, balance) VALUES ($1, $2, 50) ON CONFLICT (email) DO UPDATE SET balance = 99 RETURNING id, email, balance", "55", "a4");
	push("COMMIT", NULL, NULL);
	sync_and_show(1);
	push("BEGIN", NULL, NULL);
	push("DELETE FROM account WHERE id = $1", "5", NULL);
	push("DELETE FROM account WHERE id = $1", "2", NULL);
	push("COMMIT", NULL, NULL);
	sync_and_show(1);
	push("ROLLBACK", NULL, NULL);
	push("SELECT count(*) FROM account WHERE id = $1", "5", NULL);
	sync_and_show(1);
}

/* Plans made before a delete, and used often enough to be generic, after it. */
static void
prepared_statements(void)
{
	int n;
	char key[16];

	printf("-- prepared_statements\n");
	must(PQenterPipelineMode(conn), "PQenterPipelineMode");
	must(PQsendPrepare(conn, "read", "SELECT id, email FROM account WHERE id = $1", 0, NULL), "PQsendPrepare");
	must(PQsendPrepare(conn, "logins", "SELECT device FROM account JOIN login ON account_id = id WHERE id = $1 ORDER BY 1", 0, NULL), "PQsendPrepare");
	must(PQsendPrepare(conn, "drop", "DELETE FROM account WHERE id = $1 RETURNING id", 0, NULL), "PQsendPrepare");
	must(PQsendPrepare(conn, "make", "INSERT INTO account (id, email, balance) VALUES ($1, 'made' || $1::int, 1)", 0, NULL), "PQsendPrepare");
	for (n = 0; n < 8; n++)
	{
		snprintf(key, sizeof(key), "%d", 100 + n % 2);
		push_prepared("make", key);
		push_prepared("read", key);
		push_prepared("drop", key);
		push_prepared("read", key);
		push_prepared("drop", key);
	}
	push_prepared("logins", "4");
	push("DELETE FROM login WHERE device = $1", "desk", NULL);
	push_prepared("logins", "4");
	sync_and_show(1);
}

/* Rows of a DELETE that arrive one by one. */
static void
single_rows(void)
{
	PGresult *res;
	int rows = 0;

	printf("-- single_rows\n");
	must(PQsendQuery(conn, "DELETE FROM login WHERE account_id < 5 RETURNING account_id, device"), "PQsendQuery");
	must(PQsetSingleRowMode(conn), "PQsetSingleRowMode");
	while ((res = PQgetResult(conn)) != NULL)
	{
		rows += PQresultStatus(res) == PGRES_SINGLE_TUPLE;
		show(res);
		PQclear(res);
	}
	printf("  rows %d\n", rows);
}

/* COPY in and out, whose column lists an old program does not have. */
static void
copy(void)
{
	PGresult *res;
	char *line;
	const char *rows = "9\tphone\n6\tphone\n6\tdesk\n";

	printf("-- copy\n");
	res = PQexec(conn, "COPY login FROM STDIN");
	show(res);
	PQclear(res);
	must(PQputCopyData(conn, rows, strlen(rows)) == 1 && PQputCopyEnd(conn, NULL) == 1, "PQputCopyData");
	while ((res = PQgetResult(conn)) != NULL)
	{
		show(res);
		PQclear(res);
	}
	run("INSERT INTO account (id, email, balance) VALUES (9, 'a9', 9)");
	res = PQexec(conn, "COPY login FROM STDIN");
	show(res);
	PQclear(res);
	must(PQputCopyData(conn, rows, strlen(rows)) == 1 && PQputCopyEnd(conn, NULL) == 1, "PQputCopyData");
	while ((res = PQgetResult(conn)) != NULL)
	{
		show(res);
		PQclear(res);
	}
	res = PQexec(conn, "COPY (SELECT * FROM login NATURAL JOIN (SELECT 'phone' AS device) d ORDER BY account_id) TO STDOUT");
	PQclear(res);
	while (PQgetCopyData(conn, &line, 0) > 0)
		PQfreemem(line);
	while ((res = PQgetResult(conn)) != NULL)
	{
		show(res);
		PQclear(res);
	}
	res = PQexec(conn, "COPY login TO STDOUT");
	show(res);
	printf("  columns %d\n", PQnfields(res));
	PQclear(res);
	while (PQgetCopyData(conn, &line, 0) > 0)
	{
		printf("  %s", line);
		PQfreemem(line);
	}
	while ((res = PQgetResult(conn)) != NULL)
	{
		show(res);
		PQclear(res);
	}
}

/* A cursor that stands on a row which goes. */
static void
cursors(void)
{
	printf("-- cursors\n");
	run("BEGIN");
	run("DECLARE c SCROLL CURSOR FOR SELECT id, email FROM account ORDER BY id");
	run("FETCH 2 FROM c");
	run("DELETE FROM account WHERE id IN (3, 6) AND NOT EXISTS (SELECT FROM transfer WHERE account_id = account.id)");
	run("FETCH ALL FROM c");
	run("FETCH FIRST FROM c");
	run("CLOSE c");
	run("DECLARE d CURSOR FOR SELECT id, account_id FROM transfer WHERE account_id = 3 FOR UPDATE");
	run("FETCH FROM d");
	run("DELETE FROM transfer WHERE CURRENT OF d RETURNING account_id");
	run("DELETE FROM transfer WHERE CURRENT OF d RETURNING account_id");
	run("FETCH FROM d");
	run("DELETE FROM transfer WHERE CURRENT OF d RETURNING account_id");
	run("COMMIT");
	run("DELETE FROM account WHERE id = 3 RETURNING email");
	run("WITH gone AS (DELETE FROM account WHERE id = 5 RETURNING *) INSERT INTO account (id, email, balance) SELECT id + 50, email || '!', balance FROM gone RETURNING id, email, balance");
	run("SELECT xmax <> 0, id, email FROM account WHERE id = 55");
	run("TRUNCATE transfer RESTART IDENTITY");
	run("INSERT INTO transfer (account_id, amount) VALUES (1, 1) RETURNING id");
	run("INSERT INTO transfer (account_id, amount) VALUES (3, 1) RETURNING id");
}

int
main(void)
{
	conn = PQconnectdb("");
	must(PQstatus(conn) == CONNECTION_OK, "PQconnectdb");
	make_schema();
	one_transaction();
	run("SELECT count(*) FROM account");
	errors_in_mid_pipeline();
	transaction_block();
	prepared_statements();
	single_rows();
	copy();
	cursors();
	PQfinish(conn);
	return 0;
}
