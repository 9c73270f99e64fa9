"""Ways to break the tagged twin, each of which the comparison must notice.

name: what the superuser does after each tag(), and what each session begins with
"""

EACH_TAGGED = """
DO $break$
DECLARE t regclass; n text;
BEGIN
	FOR t, n IN
		SELECT tgrelid::regclass, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
		WHERE tgfoid = 'soft_delete.delete_row()'::regprocedure AND NOT relispartition
	LOOP
		%s
	END LOOP;
END
$break$
"""

HARD_DELETE = """
		EXECUTE format('ALTER TABLE %s DISABLE TRIGGER "~soft_delete"', t);"""

DELETE_BY_HAND = """
		EXECUTE format($$
			CREATE OR REPLACE FUNCTION public.%s_by_hand() RETURNS trigger LANGUAGE plpgsql AS $f$
			BEGIN DELETE FROM %s WHERE ctid = OLD.ctid; RETURN NULL; END $f$ $$, n, t);
		EXECUTE format($$
			CREATE OR REPLACE TRIGGER a_by_hand BEFORE DELETE ON %s FOR EACH ROW
			WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION public.%s_by_hand() $$, t, n);"""

RENAME_INDEXES = """
		EXECUTE coalesce((
			SELECT string_agg(format('ALTER INDEX %s RENAME TO %I;',
				indexrelid::regclass, 'other_' || relname), '')
			FROM pg_index JOIN pg_class ON oid = indexrelid
			WHERE indrelid = t AND (indisunique OR indisexclusion)
				AND relname NOT LIKE 'other%'), '');"""

ADD_NOTICES = """
		EXECUTE format($$
			CREATE OR REPLACE FUNCTION public.%s_notes() RETURNS trigger LANGUAGE plpgsql AS $f$
			BEGIN RAISE NOTICE 'deleted'; RETURN NULL; END $f$ $$, n);
		EXECUTE format($$
			CREATE OR REPLACE TRIGGER notes AFTER DELETE ON %s
			FOR EACH STATEMENT EXECUTE FUNCTION public.%s_notes() $$, t, n);"""

DROP_REFERENCES = """
		EXECUTE coalesce((
			SELECT string_agg(format('ALTER TABLE %s DROP CONSTRAINT %I;',
				conrelid::regclass, conname), '')
			FROM pg_constraint
			WHERE contype = 'f' AND conrelid = t AND conparentid = 0), '');"""

BREAKS = {
    # deletes are hard: only restoring can tell
    "tag taken off": ([EACH_TAGGED % HARD_DELETE], []),
    "deleted rows shown": ([], ["SET soft_delete.show_deleted = on"]),
    "TRUNCATE refused": ([], ["SET soft_delete.truncate = error"]),
    # what people write by hand
    "count lost": ([EACH_TAGGED % DELETE_BY_HAND], []),
    "constraint renamed": ([EACH_TAGGED % RENAME_INDEXES], []),
    "notice added": ([EACH_TAGGED % ADD_NOTICES], []),
    "reference lost": ([EACH_TAGGED % DROP_REFERENCES], []),
}
