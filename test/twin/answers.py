"""Runs a script against one twin, and compares the answers of both.

A twin is a database.  The plain one does not even load the library.  Both have
the same names in them, so that errors read the same.
"""
import io
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import psycopg2
from psycopg2 import extensions

from limits import limited
from schema import GUEST, OWNER

IN_ERROR = extensions.TRANSACTION_STATUS_INERROR
IDLE = extensions.TRANSACTION_STATUS_IDLE
ENDS = re.compile(r"(COMMIT|ROLLBACK)")
CRASHED = "server crashed"
TOMBSTONE = "deleted_at"
OWN_NAME = re.compile(r"t\d+_")  # of a constraint of the schema

# everything that is not needed as a number stays text: faster, and nothing is lost
extensions.register_type(
    extensions.new_type(
        (16, 20, 21, 23, 700, 701, 1082, 1114, 1184, 1700, 3904, 3802, 1007),
        "TEXT",
        lambda value, cursor: value,
    )
)

# without triggers, and each row as it is
# Whether the planner is to be told that there are many rows, for it joins the other way
# round then, and by what they are to be ordered in the heap
REORDER_TABLES = """
SET session_replication_role = replica;
UPDATE pg_class SET relpages = 1, reltuples = 1000
	WHERE %s AND relkind = 'r' AND relname ~ '^t[0-9]' AND relnamespace = 'public'::regnamespace;
DO $turn$
DECLARE t regclass; place tid;
BEGIN
	FOR t IN SELECT oid FROM pg_class
		WHERE relkind = 'r' AND relname ~ '^t[0-9]' AND relnamespace = 'public'::regnamespace LOOP
		FOR place IN EXECUTE format('SELECT ctid FROM %%s AS t ORDER BY %s', t) LOOP
			EXECUTE format('UPDATE %%s SET n = n WHERE ctid = %%L', t, place);
		END LOOP;
	END LOOP;
END
$turn$;
RESET session_replication_role
"""


class Answer:
    """What one statement answered."""

    __slots__ = ("tag", "columns", "rows", "notices", "error", "text", "waited")

    def __init__(self):
        self.tag = self.columns = self.rows = self.error = self.text = None
        self.notices = ()
        self.waited = None  # index of the statement that let it go on

    def said(self):
        """In a few words."""
        if self.error:
            return "ERROR %s: %s" % (self.error["code"], self.error["message"])
        said = self.tag or ""
        if self.rows is not None:
            said += " %d rows: %s" % (
                len(self.rows),
                "; ".join(
                    sorted("(%s)" % ", ".join(shorten(v) for v in row) for row in self.rows)[:20]
                ),
            )
        if self.text is not None:
            said += " " + self.text
        if self.notices:
            said += " notices: " + " ".join(n.strip() for n in self.notices)
        if self.waited is not None:
            said += " after waiting"
        return said


def shorten(value):
    text = "null" if value is None else str(value)
    return text if len(text) < 40 else text[:12] + "..." + text[-3:]


def error_fields(e, connection):
    d = e.diag
    return {
        "code": e.pgcode or (CRASHED if connection.closed else "client"),
        "constraint": d.constraint_name,
        "table": d.table_name,
        "column": d.column_name,
        "message": (d.message_primary or str(e)).strip(),
        "detail": d.message_detail,
    }


def signature(plain, tagged):
    """What kind of difference this is; shrinking must not slip into another."""

    def kind(a):
        if a is None:
            return "missing"
        if a.error:
            return a.error["code"]
        # of a probe: whether it comes back changed, or not, and why
        return " ".join([(a.tag or "").split(" ")[0], (a.text or "").split(" was ")[0]]).strip()

    return kind(plain), kind(tagged)


def connect(database, options=""):
    """Connect as superuser; patiently, for the server may be recovering from a crash."""
    for patience in range(100, -1, -1):
        try:
            connection = psycopg2.connect(dbname=database, user="postgres", options=options)
            connection.autocommit = True
            return connection
        except psycopg2.OperationalError:
            if patience == 0:
                raise
            time.sleep(0.1)


class Twin:
    """One of the two databases and the application's sessions in it."""

    def __init__(self, database, is_tagged):
        self.database = database
        self.is_tagged = is_tagged
        self.sessions = {}
        self.cursors = {}
        self.monitor = None
        self.dba = None
        self.pool = {}
        self.hides_column = True  # leave out of answers what is limits.py's tombstone_column
        self.adjust = []  # what --break does to it
        self.session_settings = []  # what each session begins with

    def connect(self, loads=True):
        options = (
            "-c synchronous_commit=off -c deadlock_timeout=20ms -c client_min_messages=notice -c"
            " jit=off -c statement_timeout=60s"
        )
        if not (self.is_tagged and loads):
            options += " -c session_preload_libraries="
        return connect(self.database, options)

    def reset(self, ddl):
        """Begin anew: an empty schema public, the DDL in it, two sessions.

        Returns the errors of the DDL.
        """
        self.close()
        self.dba = self.connect()
        cursor = self.dba.cursor()
        cursor.execute(
            "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
            " AUTHORIZATION %s" % OWNER
        )
        if self.is_tagged:
            cursor.execute(
                "DROP SCHEMA IF EXISTS bins CASCADE; CREATE SCHEMA bins AUTHORIZATION %s" % OWNER
            )
            self.load_at_login(True)
        cursor.execute("SET SESSION AUTHORIZATION %s" % OWNER)
        errors = []
        try:
            cursor.execute("; ".join(ddl))
        except psycopg2.Error:  # one of them failed, and took the others with it
            for command in ddl:
                try:
                    cursor.execute(command)
                except psycopg2.Error as e:
                    errors.append((command, e.pgerror))
        cursor.execute("RESET SESSION AUTHORIZATION")
        self.open_sessions()
        return errors

    def open_sessions(self, loads=True):
        """Two sessions of the application."""
        for name in "ab":
            connection = self.connect(loads)
            c = connection.cursor()
            for setting in self.session_settings:
                c.execute(setting)
            c.execute("SET SESSION AUTHORIZATION %s" % OWNER)
            self.sessions[name] = connection
            self.cursors[name] = c
            del connection.notices[:]

    def open_unloaded(self):
        """Two other sessions, which have not loaded the library."""
        for name in "ab":
            self.run(name, "ROLLBACK")
            self.sessions[name].close()
        if self.is_tagged:
            self.load_at_login(False)
        self.open_sessions(loads=False)

    def load_at_login(self, loads):
        """From PostgreSQL 17 on, an event trigger lets sessions load the library."""
        if self.dba.server_version >= 170000:
            self.dba.cursor().execute(
                "ALTER EVENT TRIGGER soft_delete_login %s" % ("ENABLE" if loads else "DISABLE")
            )

    def close(self):
        for connection in list(self.sessions.values()) + [self.dba, self.monitor]:
            if connection is not None:
                try:
                    connection.close()
                except psycopg2.Error:
                    pass
        for pool in self.pool.values():
            pool.shutdown(wait=True)
        self.sessions, self.cursors, self.pool, self.monitor, self.dba = {}, {}, {}, None, None

    # -- one statement --------------------------------------------------------

    def ask(self, statement):
        """Run a statement in its session."""
        return self.run(statement.session, statement.sql, statement.data)

    def run(self, session, sql, data=None):
        connection, cursor = self.sessions[session], self.cursors[session]
        answer = Answer()
        try:
            if data is not None:
                cursor.copy_expert(sql, io.StringIO(data))
            elif sql.startswith("COPY"):
                out = io.StringIO()
                cursor.copy_expert(sql, out)
                answer.rows = [(line,) for line in out.getvalue().splitlines()]
            else:
                cursor.execute(sql)
                if cursor.description is not None:
                    answer.columns = [d[0] for d in cursor.description]
                    answer.rows = cursor.fetchall()
                    if TOMBSTONE in answer.columns and self.hides_column:
                        at = answer.columns.index(TOMBSTONE)
                        del answer.columns[at]
                        answer.rows = [row[:at] + row[at + 1 :] for row in answer.rows]
            answer.tag = cursor.statusmessage
        except psycopg2.Error as e:
            answer.error = error_fields(e, connection)
        if sql.startswith("COPY"):
            self.fetch_notices(cursor)
        if connection.notices:
            answer.notices = tuple(connection.notices)
            del connection.notices[:]
        return answer

    def fetch_notices(self, cursor):
        """psycopg2 hands out the notices of a COPY with the next statement."""
        try:
            cursor.execute(";")
        except psycopg2.ProgrammingError:
            pass

    def dump(self, statement):
        """What pg_dump -s says of tables, but for the tag."""
        if any(c.get_transaction_status() != IDLE for c in self.sessions.values()):
            return None
        answer = Answer()
        command = ["pg_dump", "-s", "-U", "postgres", "-d", self.database, "--no-comments"]
        for name in statement.tables:
            command += ["-t", "public." + name]
        done = subprocess.run(
            command,
            env=dict(os.environ, PGOPTIONS="-c session_preload_libraries="),
            capture_output=True,
            text=True,
            check=False,
        )
        answer.rows = [
            (line,)
            for line in (done.stdout + done.stderr).splitlines()
            if line and not line.startswith(("--", "\\restrict", "\\unrestrict"))
            and '"~soft_delete' not in line
        ]
        return answer

    # -- a script -------------------------------------------------------------

    def play(self, statements, reorder=(None, None), without=()):
        """Run the statements but those without; returns their answers, None for what was left out.

        reorder: before which statement the tables are to be reordered, and by what.

        A session whose transaction has failed only ends it.  While a session
        waits for the other, the other one only ends its transaction.
        """
        answers = [None] * len(statements)
        waiting = {}  # session: index
        self.futures = {}
        in_two = False
        for i, statement in enumerate(statements):
            if in_two and statement.form != "two_sessions":
                self.end_both(answers, waiting)
            in_two = statement.form == "two_sessions"
            if i == reorder[0]:
                self.reorder_tables(reorder[1])
            if statement.role == "dba":
                if self.is_tagged:
                    answers[i] = self.administer(statement)
                    if self.dba.closed:
                        return answers
                continue
            if statement.role == "sessions":
                self.open_unloaded()
                continue
            session = statement.session
            ends = ENDS.match(statement.sql) is not None
            if i in without or session in waiting or (waiting and not ends):
                continue
            if self.sessions[session].get_transaction_status() == IN_ERROR and not ends:
                continue
            if statement.role == "dump":
                answers[i] = self.dump(statement)
            elif statement.role == "probe":
                answers[i] = (
                    self.undo(statement)
                    if self.sessions[session].get_transaction_status() == IDLE
                    else None
                )
            elif in_two:
                self.start(i, statement, answers, waiting)
                self.settle(i, answers, waiting)
            else:
                answers[i] = self.ask(statement)
            if self.sessions[session].closed:
                return answers
        self.end_both(answers, waiting)
        return answers

    def end_both(self, answers, waiting):
        """Leave no transaction of two sessions open: the one that waits goes last."""
        for session in sorted("ab", key=lambda name: name in waiting):
            if session in waiting:
                answers[waiting[session]] = self.futures[session].result()
                del waiting[session]
            if self.sessions[session].get_transaction_status() != IDLE:
                self.run(session, "ROLLBACK")

    def start(self, i, statement, answers, waiting):
        session = statement.session
        if session not in self.pool:
            self.pool[session] = ThreadPoolExecutor(1)
        future = self.pool[session].submit(self.ask, statement)
        self.futures[session] = future
        if not self.finishes(session, future):
            waiting[session] = i
        else:
            answers[i] = future.result()

    def settle(self, i, answers, waiting):
        """Collect what a statement has released."""
        for session in list(waiting):
            if waiting[session] != i and self.finishes(session, self.futures[session]):
                answers[waiting[session]] = self.futures[session].result()
                answers[waiting[session]].waited = i
                del waiting[session]

    def finishes(self, session, future):
        """Wait until a statement is done (true) or waits for the other session (false)."""
        pause = 0.003
        while True:
            try:
                future.result(timeout=pause)
                return True
            except TimeoutError:
                pass
            if self.monitor is None:
                self.monitor = self.connect()
            c = self.monitor.cursor()
            other = self.sessions["b" if session == "a" else "a"]
            c.execute(
                "SELECT %d = ANY (pg_blocking_pids(%d))"
                % (other.info.backend_pid, self.sessions[session].info.backend_pid)
            )
            if c.fetchone()[0] == "t" and not future.done():
                return False
            pause = min(0.02, pause * 2)

    def reorder_tables(self, order):
        """Let the rows lie in another order, and perhaps seem many, if no session is at work."""
        if any(c.get_transaction_status() != IDLE for c in self.sessions.values()):
            return
        cursor = self.dba.cursor()
        cursor.execute(REORDER_TABLES % order)

    # -- the DBA --------------------------------------------------------------

    def administer(self, statement):
        """Run what the DBA does in the tagged twin.

        Purging may be refused; a tag() that fails is a difference.
        """
        cursor = self.dba.cursor()
        answer = None
        try:
            cursor.execute("SET SESSION AUTHORIZATION %s" % OWNER)
            cursor.execute(statement.sql)
        except psycopg2.Error as e:
            if statement.form == "tag" or self.dba.closed:
                answer = Answer()
                answer.error = error_fields(e, self.dba)
        if not self.dba.closed:
            cursor.execute("RESET SESSION AUTHORIZATION")
            for command in self.adjust:
                cursor.execute(command)
        return answer

    # -- restoring ------------------------------------------------------------

    def undo(self, statement):
        """Delete, and in the tagged twin bring back what went; then forget it all."""
        session = statement.session
        self.run(session, "BEGIN")
        for sql in statement.first:
            self.run(session, sql)
        before = self.contents(statement)
        stamps, said = [(self.last_stamp(statement), False)], []
        answer = self.ask(statement)
        if answer.error is None:
            answer.error = self.run(session, "SET CONSTRAINTS ALL IMMEDIATE").error
        if answer.error is None:
            stamps.append((self.last_stamp(statement), True))
            for sql, is_undone in statement.then:
                self.run(session, "SAVEPOINT probe")
                more = self.run(session, sql)
                if more.error:
                    self.run(session, "ROLLBACK TO probe")
                said.append(
                    more.error["code"].replace("23001", "23503") if more.error else more.tag
                )
                stamps.append((self.last_stamp(statement), is_undone))
            answer.text = "comes back unchanged"
            if before is None:
                answer.text = "cannot be read"
            elif self.is_tagged:
                answer.text = self.bring_back(statement, before, stamps)
            answer.text = " ".join([answer.text] + said)
        self.run(session, "ROLLBACK")
        return answer

    def last_stamp(self, statement):
        """The stamp of the last deletion."""
        if not self.is_tagged:
            return None
        answer = self.run(statement.session, "SELECT max(deleted_at) FROM soft_delete.deletions")
        return answer.rows[0][0] if answer.rows else None

    def contents(self, statement):
        """The tables that must be as before, and how many rows of them are live."""
        out = {}
        for table, columns in statement.tables:
            answer = self.run(statement.session, "SELECT %s FROM %s" % (columns, table))
            if answer.error:
                return None
            out[table] = sorted(answer.rows, key=repr)
        return out

    def bring_back(self, statement, before, stamps):
        """Undo the deletions, the last one first, or all that the transaction deleted."""
        session = statement.session
        undo = [
            "SELECT soft_delete.undo('%s')" % stamp
            for (last, _), (stamp, is_undone) in zip(stamps, stamps[1:])
            if is_undone and stamp != last
        ][::-1]
        if (
            len(undo) > 1
            and len(undo) % 2 == 0
            and all(is_undone for _, is_undone in statement.then)
        ):
            undo = ["SELECT soft_delete.undo_transaction(pg_current_xact_id())"]
        for sql in undo + ["SET CONSTRAINTS ALL IMMEDIATE"]:
            undone = self.run(session, sql)
            if undone.error and undone.error["code"] == CRASHED:
                return CRASHED
            if undone.error:
                return "does not come back: %s %s" % (undone.error["code"], undone.error["message"])
        back = self.contents(statement)
        for table, _ in statement.tables:
            if back is None or back[table] != before[table]:
                return "comes back changed: %s was %s, is %s" % (
                    table,
                    before[table],
                    back and back[table],
                )
        return "comes back unchanged"


# -- comparing ----------------------------------------------------------------


class Comparison:
    """Compares answers; counts those where either of two is right."""

    def __init__(self, aside=False):
        self.aside = aside
        self.either = 0

    def limited(self, name):
        return limited(name, self.aside)

    def first_difference(self, statements, plain, tagged):
        """The first statement that is answered differently, as (index, plain, tagged), or None."""
        last = {}  # session: its last answers
        for i, (p, t) in enumerate(zip(plain, tagged)):
            session = statements[i].session
            if not self.same(p, t) and not (
                self.fails_late(p, t, *last.get(session, (None, None)))
            ):
                return i, p, t
            if p is not None and t is not None:
                last[session] = p, t
        return None

    def same(self, plain, tagged):
        if plain is None or tagged is None:
            return plain is tagged
        if plain.error and tagged.error and plain.error["code"] == tagged.error["code"] == "40P01":
            return True  # when that is found out is a matter of time
        if plain.waited != tagged.waited and not (
            plain.waited is None
            and self.limited("waits")
            or both_duplicate(plain, tagged)
            and self.limited("first_constraint")
        ):
            return False
        if plain.error or tagged.error:
            if not (plain.error and tagged.error):
                return False
            if (
                plain.waited is None
                and tagged.waited is not None
                and (plain.error["code"], tagged.error["code"]) == ("23503", "40001")
                and self.limited("waiting_children")
            ):
                return True
            return self.same_error(plain.error, tagged.error)
        return (
            plain.tag == tagged.tag
            and plain.columns == tagged.columns
            and plain.text == tagged.text
            and same_bag(plain.rows, tagged.rows)
            and same_bag(self.told(plain.notices), self.told(tagged.notices))
        )

    def same_error(self, plain, tagged):
        if plain == tagged:
            return True
        if plain["code"] == tagged["code"] == "40001" and self.limited("serialization_words"):
            return True
        # a table that references this one, and could not be dropped
        if (
            tagged["code"] == "0A000"
            and "to another partition, because deleted rows" in tagged["message"]
            and self.limited("partition_moves")
        ):
            return True
        if dict(plain, detail=self.application_detail(plain)) == dict(
            tagged, detail=self.application_detail(tagged)
        ):
            return True
        if self.aside:
            return False
        # a cursor without rows, whose plan may know that there are none
        if plain["code"] == tagged["code"] == "24000":
            self.either += 1
            return True
        # of several dependents, the order of the catalog decides
        if (
            plain["code"] == tagged["code"] == "2BP01"
            and plain["message"] == tagged["message"]
            and not re.search("_deleted|_active|soft_delete", tagged["detail"] or "")
        ):
            self.either += 1
            return True
        # where rows violate several constraints, the order of rows and indexes decides
        if plain["code"][:2] == tagged["code"][:2] == "23" and all(
            error["constraint"] is None or OWN_NAME.match(error["constraint"])
            for error in (plain, tagged)
        ):
            self.either += 1
            return True
        return False

    def fails_late(self, plain, tagged, last_plain, last_tagged):
        """Does one end a failed transaction, while the other still waits, and then fails, too?"""
        return (
            (plain is None) != (tagged is None)
            and (plain or tagged).tag == "ROLLBACK"
            and both_duplicate(last_plain, last_tagged)
            and self.limited("first_constraint")
        )

    def application_detail(self, error):
        """The detail of an error, without a row's place in the heap, unless it lists a whole row."""
        detail = error["detail"]
        # of an entry too long for its index
        if detail and error["code"] == "54000":
            detail = re.sub(r"tuple \(\d+,\d+\)", "tuple", detail)
        lists_row = detail and detail.startswith("Failing row contains")
        if lists_row and self.limited("tombstone_column"):
            return None
        return detail

    def told(self, notices):
        """The notices that do not depend on which row an error met first."""
        if self.limited("cut_warnings"):
            notices = [n for n in notices if not CUT_WARNING.match(n)]
        if any("caught" in notice for notice in notices):
            return [n for n in notices if "caught" in n or "deleted" in n]
        return notices


def left_out(statements, index, plain, tagged, aside):
    """What the tagged twin has left out around a statement.

    A session waits there that does not in the plain one.
    """
    for i in range(index - 1, -1, -1):
        if (
            tagged[index] is not None
            or statements[i].form != "two_sessions"
            or not limited("waits", aside)
        ):
            break
        if (
            plain[i]
            and plain[i].waited is None
            and tagged[i]
            and tagged[i].waited is not None
            and tagged[i].waited > index
        ):
            return {k for k in range(i + 1, tagged[i].waited) if tagged[k] is None}
    return set()


def both_duplicate(plain, tagged):
    return all(
        answer is not None and answer.error and answer.error["code"] in ("23505", "23P01")
        for answer in (plain, tagged)
    )


CUT_WARNING = re.compile(
    r'WARNING:  foreign key "\w+" lets a delete from table "[\w.]+" overwrite what rows of table'
    r' "[\w.]+" refer to'
)


def same_bag(plain, tagged):
    """The same rows, in whatever order."""
    if plain == tagged:
        return True
    if plain is None or tagged is None or len(plain) != len(tagged):
        return False
    return sorted(plain, key=repr) == sorted(tagged, key=repr)
