-- Rule: nobody changes what is recorded of the tables of others.  Eve erases rows of a table of
-- her own, with keys that she has made so that their hashes are those of another's keys: what
-- the extension keeps of that one stays.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_records_owner;
CREATE ROLE regress_records_eve;
CREATE SCHEMA records AUTHORIZATION regress_records_owner;
CREATE SCHEMA eve AUTHORIZATION regress_records_eve;
GRANT USAGE ON SCHEMA records TO regress_records_eve;
SET ROLE regress_records_owner;
SET search_path = records;
CREATE TABLE parent (id integer PRIMARY KEY);
CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE SET NULL);
SELECT soft_delete.tag('parent') IS NOT NULL AND soft_delete.tag('child') IS NOT NULL AS tagged;
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1, 1);
SELECT soft_delete.hold('child', 1, 'a lifted hold');
SELECT soft_delete.lift('child', 1, 'a lifted hold');
DELETE FROM parent;
RESET ROLE;

-- Bob Jenkins' hash, forwards and backwards, in words of 32 bits
SET ROLE regress_records_eve;
SET search_path = eve;
CREATE FUNCTION rot(x bigint, k integer) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN ((x << k) | (x >> (32 - k))) & 4294967295;
CREATE FUNCTION mix(s bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a bigint := s[1]; b bigint := s[2]; c bigint := s[3]; m bigint := 4294967295;
BEGIN
	a := ((a - c) & m) # eve.rot(c, 4); c := (c + b) & m;
	b := ((b - a) & m) # eve.rot(a, 6); a := (a + c) & m;
	c := ((c - b) & m) # eve.rot(b, 8); b := (b + a) & m;
	a := ((a - c) & m) # eve.rot(c, 16); c := (c + b) & m;
	b := ((b - a) & m) # eve.rot(a, 19); a := (a + c) & m;
	c := ((c - b) & m) # eve.rot(b, 4); b := (b + a) & m;
	RETURN ARRAY[a, b, c];
END
$$;
CREATE FUNCTION unmix(s bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a bigint := s[1]; b bigint := s[2]; c bigint := s[3]; m bigint := 4294967295;
BEGIN
	b := (b - a) & m; c := ((c # eve.rot(b, 4)) + b) & m;
	a := (a - c) & m; b := ((b # eve.rot(a, 19)) + a) & m;
	c := (c - b) & m; a := ((a # eve.rot(c, 16)) + c) & m;
	b := (b - a) & m; c := ((c # eve.rot(b, 8)) + b) & m;
	a := (a - c) & m; b := ((b # eve.rot(a, 6)) + a) & m;
	c := (c - b) & m; a := ((a # eve.rot(c, 4)) + c) & m;
	RETURN ARRAY[a, b, c];
END
$$;
CREATE FUNCTION final(s bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a bigint := s[1]; b bigint := s[2]; c bigint := s[3]; m bigint := 4294967295;
BEGIN
	c := ((c # b) - eve.rot(b, 14)) & m;
	a := ((a # c) - eve.rot(c, 11)) & m;
	b := ((b # a) - eve.rot(a, 25)) & m;
	c := ((c # b) - eve.rot(b, 16)) & m;
	a := ((a # c) - eve.rot(c, 4)) & m;
	b := ((b # a) - eve.rot(a, 14)) & m;
	c := ((c # b) - eve.rot(b, 24)) & m;
	RETURN ARRAY[a, b, c];
END
$$;
CREATE FUNCTION unfinal(s bigint[]) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	a bigint := s[1]; b bigint := s[2]; c bigint := s[3]; m bigint := 4294967295;
BEGIN
	c := ((c + eve.rot(b, 24)) & m) # b;
	b := ((b + eve.rot(a, 14)) & m) # a;
	a := ((a + eve.rot(c, 4)) & m) # c;
	c := ((c + eve.rot(b, 16)) & m) # b;
	b := ((b + eve.rot(a, 25)) & m) # a;
	a := ((a + eve.rot(c, 11)) & m) # c;
	c := ((c + eve.rot(b, 14)) & m) # b;
	RETURN ARRAY[a, b, c];
END
$$;
-- the state after the header of a text[] with one element of some bytes, hashed with a seed
CREATE FUNCTION header(of oid, bytes bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	m bigint := 4294967295;
	start bigint := (2654435769 + 24 + (bytes + 3) / 4 * 4 + 3923095) & m;
	s bigint[] := eve.mix(ARRAY[start, (start + of::bigint) & m, start]);
BEGIN
	s := eve.mix(ARRAY[(s[1] + 1) & m, s[2], (s[3] + 25) & m]);
	RETURN eve.mix(ARRAY[(s[1] + 1) & m, (s[2] + 1) & m, (s[3] + (4 + bytes) * 4) & m]);
END
$$;
-- a text of twelve bytes that has, as the key of one relation, the hash of key 1 of another
CREATE FUNCTION forge(mine oid, other oid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m bigint := 4294967295;
	s bigint[] := eve.header(other, 1);
	target bigint[] := eve.final(ARRAY[(s[1] + ascii('1')) & m, s[2], s[3]]);
	before bigint[] := eve.header(mine, 12);
	bytes bytea;
BEGIN
	FOR try IN 1 .. 1000000 LOOP
		s := eve.unmix(eve.unfinal(ARRAY[try, target[2], target[3]]));
		bytes := '';
		FOR i IN 1 .. 3 LOOP
			s[i] := (s[i] - before[i]) & m;
			EXIT WHEN s[i] & 2155905152 <> 0; -- no ASCII
			bytes := bytes || decode(lpad(to_hex(s[i] & 255), 2, '0') || lpad(to_hex(s[i] >> 8 & 255), 2, '0') || lpad(to_hex(s[i] >> 16 & 255), 2, '0') || lpad(to_hex(s[i] >> 24), 2, '0'), 'hex');
		END LOOP;
		IF length(bytes) = 12 AND position('\x00'::bytea IN bytes) = 0 THEN
			RETURN convert_from(bytes, 'SQL_ASCII');
		END IF;
	END LOOP;
END
$$;
CREATE TABLE t (id text PRIMARY KEY);
SELECT soft_delete.tag('t') IS NOT NULL AS tagged;
INSERT INTO t SELECT forge('t'::regclass, 'records.child'::regclass);
SELECT count(*), min(length(id)) AS length FROM t;
SELECT soft_delete.erase('t', id) FROM t;
RESET ROLE;
SELECT count(*) AS references FROM soft_delete_internal.set_null_references WHERE relation = 'records.child'::regclass;
SELECT key FROM soft_delete_internal.lifted_holds WHERE relation = 'records.child';
SET ROLE regress_records_owner;
SET search_path = records;
UPDATE parent_deleted SET deleted_at = NULL;
SELECT * FROM child;
RESET ROLE;

-- nor does she learn by a table of proofs of hers which keys a table of another has, live or deleted, or lock it
SET ROLE regress_records_owner;
CREATE TABLE secret (id integer PRIMARY KEY);
SELECT soft_delete.tag('secret') IS NOT NULL AS tagged;
INSERT INTO secret VALUES (1), (2);
DELETE FROM secret WHERE id = 2;
RESET ROLE;
SET ROLE regress_records_eve;
SET search_path = eve;
CREATE TABLE proofs (relation text, key_hash bytea, erased_at timestamptz, erased_by text, rows bigint);
BEGIN;
INSERT INTO proofs VALUES ('records.secret', sha256('{1}'), now(), 'eve', 1);
SELECT soft_delete.replay_erasures('proofs');
UPDATE proofs SET key_hash = sha256('{2}');
SELECT soft_delete.replay_erasures('proofs');
UPDATE proofs SET key_hash = sha256('{3}');
SELECT soft_delete.replay_erasures('proofs');
UPDATE proofs SET relation = 'pg_catalog.pg_authid';
SELECT soft_delete.replay_erasures('proofs');
SELECT relation::regclass, mode FROM pg_locks JOIN pg_class ON oid = relation WHERE relnamespace = 'records'::regnamespace AND pid = pg_backend_pid();
ROLLBACK;
-- nor what another's table of proofs, or a view, does not show her
SET ROLE regress_records_owner;
SET search_path = records;
CREATE TABLE guarded (LIKE soft_delete.erasures);
INSERT INTO guarded VALUES ('eve.t', sha256('guarded'), now(), 'owner', 1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE VIEW own_proofs AS SELECT * FROM guarded WHERE erased_by = current_user;
GRANT SELECT ON guarded, own_proofs TO regress_records_eve;
SET ROLE regress_records_eve;
SELECT count(*) FROM guarded;
SELECT soft_delete.replay_erasures('guarded');
SELECT soft_delete.replay_erasures('own_proofs');
SELECT count(*) FROM soft_delete.erasures WHERE key_hash = sha256('guarded');
-- and who once had a table by the name of another's has nothing erased of that, from a backup
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA eve TO regress_records_owner;
SET ROLE regress_records_eve;
CREATE TABLE eve.shared (id integer PRIMARY KEY);
SELECT soft_delete.tag('eve.shared') IS NOT NULL AS tagged;
INSERT INTO eve.shared VALUES (1), (2);
SELECT soft_delete.erase('eve.shared', 1);
DROP TABLE eve.shared;
SET ROLE regress_records_owner;
CREATE TABLE eve.shared (id integer PRIMARY KEY);
SELECT soft_delete.tag('eve.shared') IS NOT NULL AS tagged;
INSERT INTO eve.shared VALUES (1), (2);
SELECT soft_delete.erase('eve.shared', 2);
INSERT INTO eve.shared VALUES (2);
RESET ROLE;
CREATE TABLE records.newer AS SELECT * FROM soft_delete.erasures WHERE relation = 'eve.shared';
DELETE FROM soft_delete_internal.erasures WHERE relation = 'eve.shared';
SELECT soft_delete.replay_erasures('records.newer');
SELECT * FROM eve.shared;
SELECT owner, count(*) FROM soft_delete.erasures WHERE relation = 'eve.shared' GROUP BY owner;
UPDATE records.newer SET owner = NULL;
SELECT soft_delete.replay_erasures('records.newer');
SELECT * FROM eve.shared;
DROP SCHEMA records, eve CASCADE;
TRUNCATE soft_delete_internal.lifted_holds, soft_delete_internal.erasures;
DROP ROLE regress_records_owner, regress_records_eve;
