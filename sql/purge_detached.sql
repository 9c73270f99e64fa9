-- A partition that leaves while a purge is on its way is not purged with what it left.
SET client_min_messages = warning;
CREATE TABLE measures (id integer, place integer, PRIMARY KEY (place, id)) PARTITION BY LIST (place);
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES IN (1);
CREATE TABLE measures_2 PARTITION OF measures FOR VALUES IN (2);
SELECT soft_delete.tag('measures');
SELECT soft_delete.retain('measures', '0');
INSERT INTO measures SELECT n, p FROM generate_series(1, 3) AS n, generate_series(1, 2) AS p;
DELETE FROM measures;
SELECT rows, done FROM soft_delete_internal.purge_batch('{measures}', clock_timestamp(), NULL, 2, true, false);
ALTER TABLE measures DETACH PARTITION measures_2;
SELECT soft_delete.retain('measures_2', NULL);
SELECT rows, done FROM soft_delete_internal.purge_batch('{measures}', clock_timestamp(), NULL, 10, false, false);
SELECT count(*) FROM measures_deleted;
SELECT count(*) FROM measures_2_deleted;
DROP TABLE measures, measures_2;
