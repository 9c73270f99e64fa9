--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: app; Type: SCHEMA; Schema: -; Owner: climb_owner
--

CREATE SCHEMA app;

ALTER SCHEMA app OWNER TO climb_owner;

--
-- Name: soft_delete; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA soft_delete;

ALTER SCHEMA soft_delete OWNER TO postgres;

--
-- Name: soft_delete; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS soft_delete WITH SCHEMA soft_delete;

--
-- Name: EXTENSION soft_delete; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION soft_delete IS 'DELETE that an application cannot tell from the real one, and that loses nothing';

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: base; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.base (
    id integer NOT NULL,
    deleted_at timestamp with time zone
);

ALTER TABLE app.base OWNER TO climb_owner;

--
-- Name: base_active; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.base_active WITH (security_invoker='true') AS
 SELECT base.id
   FROM app.base
  WHERE (base.deleted_at IS NULL);

ALTER TABLE app.base_active OWNER TO climb_owner;

--
-- Name: VIEW base_active; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.base_active IS 'live rows of app.base';

--
-- Name: base_deleted; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.base_deleted AS
 SELECT base.id,
    base.deleted_at,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(base.tableoid, base.ctid, true) AS hold,
    base.tableoid,
    base.ctid
   FROM app.base TABLESAMPLE soft_delete.rows ('all'::text)
  WHERE (base.deleted_at IS NOT NULL)
UNION ALL
 SELECT base.id,
    base.deleted_at,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(base.tableoid, base.ctid, base.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(base.tableoid, base.ctid, true) AS hold,
    base.tableoid,
    base.ctid
   FROM app.base TABLESAMPLE soft_delete.rows ('displaced'::text);

ALTER TABLE app.base_deleted OWNER TO climb_owner;

--
-- Name: VIEW base_deleted; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.base_deleted IS 'bin of app.base: UPDATE ... SET deleted_at = NULL restores, DELETE purges';

--
-- Name: child; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.child (
    id integer NOT NULL,
    parent_id integer,
    deleted_at timestamp with time zone
)
PARTITION BY HASH (id);

ALTER TABLE app.child OWNER TO climb_owner;

--
-- Name: child_1; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.child_1 (
    id integer NOT NULL,
    parent_id integer,
    deleted_at timestamp with time zone
);

ALTER TABLE app.child_1 OWNER TO climb_owner;

--
-- Name: child_active; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.child_active WITH (security_invoker='true') AS
 SELECT child.id,
    child.parent_id
   FROM app.child
  WHERE (child.deleted_at IS NULL);

ALTER TABLE app.child_active OWNER TO climb_owner;

--
-- Name: VIEW child_active; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.child_active IS 'live rows of app.child';

--
-- Name: child_deleted; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.child_deleted AS
 SELECT child.id,
    child.parent_id,
    child.deleted_at,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(child.tableoid, child.ctid, true) AS hold,
    child.tableoid,
    child.ctid
   FROM app.child TABLESAMPLE soft_delete.rows ('all'::text)
  WHERE (child.deleted_at IS NOT NULL)
UNION ALL
 SELECT child.id,
    child.parent_id,
    child.deleted_at,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(child.tableoid, child.ctid, child.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(child.tableoid, child.ctid, true) AS hold,
    child.tableoid,
    child.ctid
   FROM app.child TABLESAMPLE soft_delete.rows ('displaced'::text);

ALTER TABLE app.child_deleted OWNER TO climb_owner;

--
-- Name: VIEW child_deleted; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.child_deleted IS 'bin of app.child: UPDATE ... SET deleted_at = NULL restores, DELETE purges';

--
-- Name: derived; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.derived (
    more text
)
INHERITS (app.base);

ALTER TABLE app.derived OWNER TO climb_owner;

--
-- Name: linked; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.linked (
    id integer NOT NULL,
    parent_id integer,
    deleted_at timestamp with time zone
);

ALTER TABLE app.linked OWNER TO climb_owner;

--
-- Name: timed; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.timed (
    id integer NOT NULL,
    deleted_at timestamp without time zone
);

ALTER TABLE app.timed OWNER TO climb_owner;

--
-- Name: linked_active; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.linked_active WITH (security_invoker='true') AS
 SELECT linked.id,
    linked.parent_id
   FROM app.linked
  WHERE (linked.deleted_at IS NULL);

ALTER TABLE app.linked_active OWNER TO climb_owner;

--
-- Name: timed_active; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.timed_active WITH (security_invoker='true') AS
 SELECT timed.id
   FROM app.timed
  WHERE (timed.deleted_at IS NULL);

ALTER TABLE app.timed_active OWNER TO climb_owner;

--
-- Name: VIEW linked_active; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.linked_active IS 'live rows of app.linked';

--
-- Name: VIEW timed_active; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.timed_active IS 'live rows of app.timed';

--
-- Name: linked_deleted; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.linked_deleted AS
 SELECT linked.id,
    linked.parent_id,
    linked.deleted_at,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(linked.tableoid, linked.ctid, true) AS hold,
    linked.tableoid,
    linked.ctid
   FROM app.linked TABLESAMPLE soft_delete.rows ('all'::text)
  WHERE (linked.deleted_at IS NOT NULL)
UNION ALL
 SELECT linked.id,
    linked.parent_id,
    linked.deleted_at,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(linked.tableoid, linked.ctid, linked.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(linked.tableoid, linked.ctid, true) AS hold,
    linked.tableoid,
    linked.ctid
   FROM app.linked TABLESAMPLE soft_delete.rows ('displaced'::text);

ALTER TABLE app.linked_deleted OWNER TO climb_owner;

--
-- Name: timed_deleted; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.timed_deleted AS
 SELECT timed.id,
    timed.deleted_at,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'actor'::text) AS actor,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'reason'::text) AS reason,
    soft_delete.hold_of(timed.tableoid, timed.ctid, true) AS hold,
    timed.tableoid,
    timed.ctid
   FROM app.timed TABLESAMPLE soft_delete.rows ('all'::text)
  WHERE (timed.deleted_at IS NOT NULL)
UNION ALL
 SELECT timed.id,
    timed.deleted_at,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'actor'::text) AS actor,
    soft_delete.deletion_of(timed.tableoid, timed.ctid, timezone('UTC'::text, timed.deleted_at), 'reason'::text) AS reason,
    soft_delete.hold_of(timed.tableoid, timed.ctid, true) AS hold,
    timed.tableoid,
    timed.ctid
   FROM app.timed TABLESAMPLE soft_delete.rows ('displaced'::text);

ALTER TABLE app.timed_deleted OWNER TO climb_owner;

--
-- Name: VIEW linked_deleted; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.linked_deleted IS 'bin of app.linked: UPDATE ... SET deleted_at = NULL restores, DELETE purges';

--
-- Name: VIEW timed_deleted; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.timed_deleted IS 'bin of app.timed: UPDATE ... SET deleted_at = NULL restores, DELETE purges';

--
-- Name: parent; Type: TABLE; Schema: app; Owner: climb_owner
--

CREATE TABLE app.parent (
    id integer NOT NULL,
    code text,
    deleted_at timestamp with time zone
);

ALTER TABLE app.parent OWNER TO climb_owner;

--
-- Name: parent_active; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.parent_active WITH (security_invoker='true') AS
 SELECT parent.id,
    parent.code
   FROM app.parent
  WHERE (parent.deleted_at IS NULL);

ALTER TABLE app.parent_active OWNER TO climb_owner;

--
-- Name: VIEW parent_active; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.parent_active IS 'live rows of app.parent';

--
-- Name: parent_deleted; Type: VIEW; Schema: app; Owner: climb_owner
--

CREATE VIEW app.parent_deleted AS
 SELECT parent.id,
    parent.code,
    parent.deleted_at,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(parent.tableoid, parent.ctid, true) AS hold,
    parent.tableoid,
    parent.ctid
   FROM app.parent TABLESAMPLE soft_delete.rows ('all'::text)
  WHERE (parent.deleted_at IS NOT NULL)
UNION ALL
 SELECT parent.id,
    parent.code,
    parent.deleted_at,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'deleted_by'::text) AS deleted_by,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'actor'::text) AS actor,
    soft_delete.deletion_of(parent.tableoid, parent.ctid, parent.deleted_at, 'reason'::text) AS reason,
    soft_delete.hold_of(parent.tableoid, parent.ctid, true) AS hold,
    parent.tableoid,
    parent.ctid
   FROM app.parent TABLESAMPLE soft_delete.rows ('displaced'::text);

ALTER TABLE app.parent_deleted OWNER TO climb_owner;

--
-- Name: VIEW parent_deleted; Type: COMMENT; Schema: app; Owner: climb_owner
--

COMMENT ON VIEW app.parent_deleted IS 'bin of app.parent: UPDATE ... SET deleted_at = NULL restores, DELETE purges';

--
-- Name: child_1; Type: TABLE ATTACH; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.child ATTACH PARTITION app.child_1 FOR VALUES WITH (modulus 1, remainder 0);

--
-- Data for Name: base; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.base (id, deleted_at) FROM stdin;
2	\N
1	2026-11-29 00:09:30.498257+00
\.

--
-- Data for Name: child_1; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.child_1 (id, parent_id, deleted_at) FROM stdin;
5	5	\N
6	6	\N
7	7	\N
8	8	\N
9	9	\N
1	1	2026-11-29 00:09:30.489555+00
3	3	2026-11-29 00:09:30.489555+00
4	4	\N
\.

--
-- Data for Name: derived; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.derived (id, more, deleted_at) FROM stdin;
\.

--
-- Data for Name: linked; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.linked (id, parent_id, deleted_at) FROM stdin;
5	5	\N
6	6	\N
7	7	\N
8	8	\N
1	\N	\N
2	\N	\N
3	\N	\N
4	4	\N
9	9	2026-11-29 00:09:30.511774+00
\.

--
-- Data for Name: timed; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.timed (id, deleted_at) FROM stdin;
5	\N
6	\N
7	\N
8	\N
1	\N
2	\N
3	\N
4	\N
9	2026-11-29 00:09:30.511774
\.

--
-- Data for Name: parent; Type: TABLE DATA; Schema: app; Owner: climb_owner
--

COPY app.parent (id, code, deleted_at) FROM stdin;
5	code 5	\N
6	code 6	\N
7	code 7	\N
8	code 8	\N
9	code 9	\N
3	code 3	2026-11-29 00:09:30.489555+00
1	code 1	\N
4	code 4	\N
\.

--
-- Data for Name: cut_references; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.cut_references (deleted_at, relation, "constraint", key_columns, key, referenced, left_with) FROM stdin;
2026-11-29 00:09:30.489555+00	app.linked	linked_parent_id_fkey	{id}	{1}	{1}	{NULL}
2026-11-29 00:09:30.489555+00	app.linked	linked_parent_id_fkey	{id}	{2}	{2}	{NULL}
2026-11-29 00:09:30.489555+00	app.linked	linked_parent_id_fkey	{id}	{3}	{3}	{NULL}
\.

--
-- Data for Name: displaced; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.displaced (relation, deleted_at, "row", types) FROM stdin;
app.parent	2026-11-29 00:09:30.489555+00	{"id": "1", "code": "code 1", "deleted_at": "2026-11-29 00:09:30.489555+00"}	{"id": "integer", "code": "text", "deleted_at": "timestamp with time zone"}
\.

--
-- Data for Name: erasures; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.erasures (relation, key_hash, erased_at, erased_by, rows) FROM stdin;
\.

--
-- Data for Name: holds; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.holds (relation, deleted_at, key, hold, held_by, held_at) FROM stdin;
\.

--
-- Data for Name: ledger; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.ledger (deleted_at, xid, deleted_by, session_role, application_name, actor, reason) FROM stdin;
2026-11-29 00:09:30.489555+00	763	climb_owner	postgres	psql	\N	\N
2026-11-29 00:09:30.498257+00	764	climb_owner	postgres	psql	\N	\N
2026-11-29 00:09:30.501263+00	766	climb_owner	postgres	psql	\N	\N
2026-11-29 00:09:30.511774+00	769	climb_owner	postgres	psql	\N	\N
\.

--
-- Data for Name: lifted_holds; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.lifted_holds (relation, deleted_at, key, hold, held_by, held_at, lifted_by, lifted_at) FROM stdin;
\.

--
-- Data for Name: purge_log; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.purge_log (relation, purged_at, purged_by, rows, oldest, newest, duration, error) FROM stdin;
\.

--
-- Data for Name: retention; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.retention (relation, schema, retain) FROM stdin;
\.

--
-- Data for Name: tagged_schemas; Type: TABLE DATA; Schema: soft_delete; Owner: postgres
--

COPY soft_delete.tagged_schemas (schema, exempt, deleted_at, indexes, views) FROM stdin;
\.

--
-- Name: base base_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.base
    ADD CONSTRAINT base_pkey PRIMARY KEY (id);

--
-- Name: child child_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.child
    ADD CONSTRAINT child_pkey PRIMARY KEY (id);

--
-- Name: child_1 child_1_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.child_1
    ADD CONSTRAINT child_1_pkey PRIMARY KEY (id);

--
-- Name: linked linked_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.linked
    ADD CONSTRAINT linked_pkey PRIMARY KEY (id);

--
-- Name: timed timed_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.timed
    ADD CONSTRAINT timed_pkey PRIMARY KEY (id);

--
-- Name: parent parent_code_key; Type: CHECK CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE app.parent
    ADD CONSTRAINT parent_code_key CHECK (true) NO INHERIT NOT VALID;

--
-- Name: parent parent_pkey; Type: CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.parent
    ADD CONSTRAINT parent_pkey PRIMARY KEY (id);

--
-- Name: base_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX base_deleted_at_idx ON app.base USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: child_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX child_deleted_at_idx ON ONLY app.child USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: child_1_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX child_1_deleted_at_idx ON app.child_1 USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: derived_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX derived_deleted_at_idx ON app.derived USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: linked_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX linked_deleted_at_idx ON app.linked USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: timed_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX timed_deleted_at_idx ON app.timed USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: parent_code_key; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE UNIQUE INDEX parent_code_key ON app.parent USING btree (code) WHERE (deleted_at IS NULL);

--
-- Name: parent_deleted_at_idx; Type: INDEX; Schema: app; Owner: climb_owner
--

CREATE INDEX parent_deleted_at_idx ON app.parent USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: child_1_deleted_at_idx; Type: INDEX ATTACH; Schema: app; Owner: climb_owner
--

ALTER INDEX app.child_deleted_at_idx ATTACH PARTITION app.child_1_deleted_at_idx;

--
-- Name: child_1_pkey; Type: INDEX ATTACH; Schema: app; Owner: climb_owner
--

ALTER INDEX app.child_pkey ATTACH PARTITION app.child_1_pkey;

--
-- Name: base_deleted soft_delete_purge; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON app.base_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();

--
-- Name: child_deleted soft_delete_purge; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON app.child_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();

--
-- Name: linked_deleted soft_delete_purge; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON app.linked_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();

--
-- Name: timed_deleted soft_delete_purge; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON app.timed_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();

--
-- Name: parent_deleted soft_delete_purge; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_purge INSTEAD OF DELETE ON app.parent_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.purge_row();

--
-- Name: base_deleted soft_delete_restore; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON app.base_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('deleted_by', 'actor', 'reason', 'hold');

--
-- Name: child_deleted soft_delete_restore; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON app.child_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('deleted_by', 'actor', 'reason', 'hold');

--
-- Name: linked_deleted soft_delete_restore; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON app.linked_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('deleted_by', 'actor', 'reason', 'hold');

--
-- Name: timed_deleted soft_delete_restore; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON app.timed_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('deleted_by', 'actor', 'reason', 'hold');

--
-- Name: parent_deleted soft_delete_restore; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_restore INSTEAD OF UPDATE ON app.parent_deleted FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row('deleted_by', 'actor', 'reason', 'hold');

--
-- Name: base_deleted soft_delete_statement; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_statement AFTER DELETE OR UPDATE ON app.base_deleted FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();

--
-- Name: child_deleted soft_delete_statement; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_statement AFTER DELETE OR UPDATE ON app.child_deleted FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();

--
-- Name: linked_deleted soft_delete_statement; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_statement AFTER DELETE OR UPDATE ON app.linked_deleted FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();

--
-- Name: timed_deleted soft_delete_statement; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_statement AFTER DELETE OR UPDATE ON app.timed_deleted FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();

--
-- Name: parent_deleted soft_delete_statement; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER soft_delete_statement AFTER DELETE OR UPDATE ON app.parent_deleted FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();

--
-- Name: base ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.base FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:base_deleted_at_idx', 'bin:derived_deleted_at_idx');

--
-- Name: child ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.child FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:child_deleted_at_idx');

--
-- Name: derived ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.derived FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:base_deleted_at_idx', 'bin:derived_deleted_at_idx');

--
-- Name: linked ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.linked FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:linked_deleted_at_idx');

--
-- Name: timed ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.timed FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:timed_deleted_at_idx');

--
-- Name: parent ~soft_delete; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete" BEFORE DELETE ON app.parent FOR EACH ROW EXECUTE FUNCTION soft_delete.delete_row('deleted_at', 'bin:parent_deleted_at_idx');

--
-- Name: base ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.base FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: child ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.child FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: derived ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.derived FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: linked ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.linked FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: timed ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.timed FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: parent ~soft_delete_key; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_key" BEFORE INSERT ON app.parent FOR EACH ROW EXECUTE FUNCTION soft_delete.claim_key();

--
-- Name: base ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.base FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: child ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.child FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: child_1 ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.child_1 FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: derived ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.derived FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: linked ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.linked FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: timed ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.timed FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: parent ~soft_delete_truncate; Type: TRIGGER; Schema: app; Owner: climb_owner
--

CREATE TRIGGER "~soft_delete_truncate" BEFORE TRUNCATE ON app.parent FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.guard_truncate();

--
-- Name: child child_parent_id_fkey; Type: FK CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE app.child
    ADD CONSTRAINT child_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES app.parent(id) ON DELETE CASCADE;

--
-- Name: linked linked_parent_id_fkey; Type: FK CONSTRAINT; Schema: app; Owner: climb_owner
--

ALTER TABLE ONLY app.linked
    ADD CONSTRAINT linked_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES app.parent(id) ON DELETE SET NULL;

--
-- Name: TABLE parent_deleted; Type: ACL; Schema: app; Owner: climb_owner
--

GRANT SELECT ON TABLE app.parent_deleted TO PUBLIC;

--
-- PostgreSQL database dump complete
--

