-- a row that stepped aside leaves its children to the row that has its key now; where none
-- has, for it stepped aside for another of its keys, its purge is that of a parent
--
-- No child is left without a parent.
CREATE ROLE regress_purge_displaced;
CREATE SCHEMA purge_displaced AUTHORIZATION regress_purge_displaced;
SET ROLE regress_purge_displaced;
SET search_path = purge_displaced;
SET client_min_messages = warning;

CREATE TABLE head (id integer PRIMARY KEY, place integer UNIQUE DEFERRABLE);
CREATE TABLE member (id integer PRIMARY KEY, head_id integer REFERENCES head ON DELETE CASCADE);
CREATE TABLE guest (id integer PRIMARY KEY, head_id integer REFERENCES head);
SELECT soft_delete.tag('head', cascade => true);
SELECT soft_delete.tag('guest');

CREATE FUNCTION deleted() RETURNS TABLE (what text) LANGUAGE sql AS $$
	SELECT 'head ' || id FROM head_deleted
	UNION ALL SELECT 'member ' || id FROM member_deleted
	UNION ALL SELECT 'guest ' || id FROM guest_deleted
	ORDER BY 1
$$;

-- by the bin: what goes by CASCADE goes along
INSERT INTO head VALUES (1, 1);
INSERT INTO member VALUES (1, 1);
DELETE FROM head;
INSERT INTO head VALUES (2, 1);
DELETE FROM head_deleted WHERE id = 1;
SELECT * FROM deleted();
SELECT * FROM soft_delete.check();

-- and what does not is in the way
INSERT INTO head VALUES (3, 3);
INSERT INTO guest VALUES (3, 3);
DELETE FROM guest;
DELETE FROM head WHERE id = 3;
INSERT INTO head VALUES (4, 3);
DELETE FROM head_deleted WHERE id = 3;
DELETE FROM guest_deleted;
DELETE FROM head_deleted WHERE id = 3;
SELECT * FROM deleted();

-- by purge(): the parent stays until its child is due
INSERT INTO head VALUES (5, 5);
INSERT INTO member VALUES (5, 5);
DELETE FROM head WHERE id = 5;
INSERT INTO head VALUES (6, 5);
SELECT soft_delete.retain('head', '0');
SELECT soft_delete.retain('member', '1 year');
CALL soft_delete.purge('head');
SELECT * FROM deleted();
SELECT soft_delete.retain('member', '0');
CALL soft_delete.purge('head');
SELECT * FROM deleted();

-- two that had the same key: the first leaves its child to the other, which takes both along
INSERT INTO head VALUES (7, 7);
INSERT INTO member VALUES (7, 7);
DELETE FROM head WHERE id = 7;
INSERT INTO head VALUES (7, 8);
INSERT INTO member VALUES (8, 7);
DELETE FROM head WHERE id = 7;
INSERT INTO head VALUES (9, 8);
DELETE FROM head_deleted WHERE place = 7;
SELECT * FROM deleted();
DELETE FROM head_deleted WHERE place = 8;
SELECT * FROM deleted();

-- to a live row with its key
INSERT INTO head VALUES (10, 10);
INSERT INTO member VALUES (10, 10);
DELETE FROM head WHERE id = 10;
INSERT INTO head VALUES (10, 11);
DELETE FROM head_deleted;
SELECT * FROM deleted();
SELECT * FROM soft_delete.check();
UPDATE member_deleted SET deleted_at = NULL;
SELECT * FROM member;

RESET search_path;
RESET ROLE;
DROP SCHEMA purge_displaced CASCADE;
DROP ROLE regress_purge_displaced;
