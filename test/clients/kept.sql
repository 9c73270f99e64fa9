-- What must hold in a tagged database that an application has used; prints what does not
SELECT 'table ' || relname || ' is not tagged' FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND oid NOT IN (SELECT unnest(ARRAY[relation, companion]) FROM soft_delete.tables WHERE companion IS NOT NULL)
	AND NOT relispartition;

SELECT 'nothing was deleted softly' WHERE NOT EXISTS (SELECT FROM soft_delete.deletions AS d, soft_delete.deletion_rows(d.deleted_at));

SELECT format('SELECT %L WHERE EXISTS (SELECT FROM %s AS t WHERE to_jsonb(t) ->> %L IS NOT NULL)',
	'deleted rows of ' || relation || ' are read', relation, tombstone_column)
FROM soft_delete.tables \gexec

SELECT concat_ws(', ', severity, relation, problem, remedy) FROM soft_delete.check();

-- each deletion by itself, from the last one on: undo() restores all of it where preview()
-- has nothing against it, and nothing otherwise
CREATE FUNCTION pg_temp.undo_disagrees(stamp timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows bigint := (SELECT sum(rows) FROM soft_delete.deletion_rows(stamp));
	refused text := (SELECT min(concat_ws(' ', relation, outcome, detail)) FROM soft_delete.preview(stamp)
		WHERE outcome NOT IN ('comes back', 'is linked again', 'stays unlinked'));
	restored bigint := 0;
BEGIN
	BEGIN
		restored := soft_delete.undo(stamp);
		SET CONSTRAINTS ALL IMMEDIATE;
		IF EXISTS (SELECT FROM soft_delete.deletion_rows(stamp)) THEN
			RETURN 'undo() leaves rows of ' || stamp;
		END IF;
		RAISE EXCEPTION 'undone' USING ERRCODE = 'UNDO1';
	EXCEPTION
		WHEN SQLSTATE 'UNDO1' THEN NULL;
		WHEN integrity_constraint_violation THEN
			IF refused IS NULL THEN
				RETURN format('undo() of %s, which preview() allows: %s', stamp, SQLERRM);
			END IF;
			restored := 0;
	END;
	IF restored <> (CASE WHEN refused IS NULL THEN rows ELSE 0 END) THEN
		RETURN format('undo() restores %s of %s rows of %s; preview(): %s', restored, rows, stamp, refused);
	END IF;
	PERFORM set_config('clients.restored', (coalesce(nullif(current_setting('clients.restored', true), ''), '0')::bigint + restored)::text, false);
	RETURN NULL;
END
$$;
SET client_min_messages = warning;
SELECT problem FROM (SELECT pg_temp.undo_disagrees(d.deleted_at) AS problem FROM soft_delete.deletions AS d
	WHERE EXISTS (SELECT FROM soft_delete.deletion_rows(d.deleted_at)) ORDER BY d.deleted_at DESC) AS each WHERE problem IS NOT NULL;
SELECT 'nothing could be restored' WHERE coalesce(nullif(current_setting('clients.restored', true), ''), '0') = '0';
