-- the bin restores what stepped aside once its key is free, and purges it
CREATE ROLE regress_keys_restore;
CREATE ROLE regress_keys_support;
CREATE SCHEMA keys_restore AUTHORIZATION regress_keys_restore;
GRANT USAGE ON SCHEMA keys_restore TO regress_keys_support;
SET ROLE regress_keys_restore;
SET search_path = keys_restore;
\set QUIET off
\set VERBOSITY terse

CREATE TABLE t (id integer PRIMARY KEY, v text, doc text, twice integer GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE t ALTER doc SET STORAGE EXTERNAL;
SELECT soft_delete.tag('t');
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% % % %', TG_WHEN, TG_LEVEL, TG_OP, NEW; RETURN NEW; END $$;
INSERT INTO t VALUES (1, 'first', repeat('x', 10000));
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tell();
DELETE FROM t;
INSERT INTO t VALUES (1, 'second');

-- while a live row has the key: the native error, and nothing changes
UPDATE t_deleted SET deleted_at = NULL;
SELECT v, length(doc) FROM t_deleted;
SELECT v FROM t;

-- while a tombstone has the key, that steps aside in turn
DELETE FROM t;
CREATE TRIGGER after_row AFTER INSERT OR UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION tell();
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'first' RETURNING id, v, deleted_at;
SELECT id, v, length(doc), twice, deleted_at FROM t;
SELECT v, stored_in::regclass FROM t_deleted;
UPDATE t_deleted SET deleted_at = NULL;

-- two of one key cannot both come back, wherever they are kept
DELETE FROM t;
SELECT v, stored_in::regclass FROM t_deleted ORDER BY v;
UPDATE t_deleted SET deleted_at = NULL;
SELECT count(*) FROM t_deleted;
SELECT count(*) FROM t;
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'second';
DELETE FROM t;
SELECT v, stored_in::regclass FROM t_deleted ORDER BY v;

-- purging takes the one that is named
DELETE FROM t_deleted WHERE v = 'first';
DELETE FROM t_deleted WHERE v = 'first';
SELECT v FROM t_deleted;
INSERT INTO t VALUES (1, 'third');
BEGIN;
DELETE FROM t_deleted RETURNING v;
ROLLBACK;
SELECT v FROM t_deleted;

-- with rights on the bin alone
GRANT SELECT, UPDATE (deleted_at) ON t_deleted TO regress_keys_support;
DELETE FROM t;
SET ROLE regress_keys_support;
SELECT v FROM t_deleted ORDER BY v;
UPDATE t_deleted SET v = 'x';
DELETE FROM t_deleted;
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'second';
SET ROLE regress_keys_restore;
SELECT v FROM t;

-- a view of somebody else is no way to it
RESET ROLE;
SELECT ctid AS tid, deleted_at, tableoid AS companion FROM keys_restore.t_tombstones LIMIT 1 \gset
SET ROLE regress_keys_support;
CREATE TEMP VIEW fake AS SELECT :'deleted_at'::timestamptz AS deleted_at, :companion::oid AS tableoid, :'tid'::tid AS ctid;
CREATE TRIGGER r INSTEAD OF UPDATE ON fake FOR EACH ROW EXECUTE FUNCTION soft_delete.restore_row();
CREATE TRIGGER s AFTER UPDATE ON fake FOR EACH STATEMENT EXECUTE FUNCTION soft_delete.finish_bin();
UPDATE fake SET deleted_at = NULL;
DROP VIEW fake;
SET ROLE regress_keys_restore;

-- a constraint that came meanwhile is checked
ALTER TABLE t ADD CHECK (v <> 'third') NOT VALID;
DELETE FROM t WHERE id = 1;
INSERT INTO t VALUES (1, 'fourth');
DELETE FROM t WHERE id = 1;
UPDATE t_deleted SET deleted_at = NULL WHERE v = 'third';

-- cascades: what went with a row that stepped aside comes back with it, though it stepped aside too
CREATE TABLE account (id integer PRIMARY KEY, name text);
CREATE TABLE membership (account_id integer REFERENCES account ON DELETE CASCADE, team integer, since text, PRIMARY KEY (account_id, team));
CREATE TABLE badge (id integer PRIMARY KEY, account_id integer, team integer, FOREIGN KEY (account_id, team) REFERENCES membership ON DELETE CASCADE);
SELECT soft_delete.tag('account', cascade => true);
INSERT INTO account VALUES (1, 'old');
INSERT INTO membership VALUES (1, 1, 'old'), (1, 2, 'old');
INSERT INTO badge VALUES (1, 1, 1), (2, 1, 2);
DELETE FROM account;
INSERT INTO account VALUES (1, 'new');
INSERT INTO membership VALUES (1, 1, 'new');
INSERT INTO badge VALUES (1, 1, 1);
SELECT name, stored_in::regclass FROM account_deleted;
UPDATE account_deleted SET deleted_at = NULL WHERE name = 'old';
DELETE FROM account;
UPDATE account_deleted SET deleted_at = NULL WHERE name = 'old';
SELECT * FROM account_active;
SELECT * FROM membership_active ORDER BY team;
SELECT * FROM badge_active ORDER BY id;
SELECT account_id, team, since, stored_in::regclass FROM membership_deleted;

-- a whole deletion, with a dry run before
DELETE FROM account;
INSERT INTO account VALUES (1, 'newest');
SELECT relation, "row", outcome, "constraint" FROM soft_delete.preview((SELECT deleted_at FROM account_deleted WHERE name = 'old')) ORDER BY relation::text, "row";
DELETE FROM account;
SELECT relation, "row", outcome, "constraint" FROM soft_delete.preview((SELECT deleted_at FROM account_deleted WHERE name = 'old')) ORDER BY relation::text, "row";
SELECT * FROM soft_delete.deletion_rows((SELECT deleted_at FROM account_deleted WHERE name = 'old')) ORDER BY relation::text;
SELECT soft_delete.undo((SELECT deleted_at FROM account_deleted WHERE name = 'old'));
SELECT name FROM account;
SELECT since FROM membership;

-- purging what stepped aside leaves alone what refers to the row that has its key now
SELECT name, stored_in::regclass FROM account_deleted ORDER BY name;
DELETE FROM account_deleted WHERE name = 'newest';
SELECT name FROM account_deleted ORDER BY name;
SELECT count(*) FROM membership_deleted;

-- partitions
CREATE TABLE p (k integer, id integer, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (v text, id integer NOT NULL, k integer NOT NULL);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
SELECT soft_delete.tag('p');
INSERT INTO p VALUES (1, 1, 'a'), (2, 1, 'b');
DELETE FROM p;
INSERT INTO p VALUES (1, 1, 'c'), (2, 1, 'd');
DELETE FROM p;
UPDATE p_deleted SET deleted_at = NULL WHERE v IN ('a', 'b');
SELECT * FROM p_active ORDER BY k;
SELECT v, stored_in::regclass FROM p_deleted ORDER BY v;

RESET ROLE;
DROP SCHEMA keys_restore CASCADE;
DROP ROLE regress_keys_restore, regress_keys_support;
