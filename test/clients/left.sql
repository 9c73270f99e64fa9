-- What an application leaves: the rows of its tables, without times, and where its sequences are; with "all" on,
-- deleted rows, too.  Companions, which have a constraint of this name, are not its tables.
SET soft_delete.show_deleted = :all;
SELECT format('SELECT %L, t FROM (SELECT %s FROM %s) AS t ORDER BY t::text COLLATE "C"', relname,
	string_agg(quote_ident(attname), ', ' ORDER BY attnum), pg_class.oid::regclass)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND NOT attisdropped
	AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND conname LIKE 'soft\_delete\_companion%')
	AND attname <> 'deleted_at' AND atttypid NOT IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
GROUP BY pg_class.oid ORDER BY relname COLLATE "C" \gexec
SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY sequencename COLLATE "C";
