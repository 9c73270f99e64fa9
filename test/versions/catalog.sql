-- Describes the extension, and what it has made for tagged tables, by names alone.
SET search_path = pg_catalog;

SELECT 'member', pg_describe_object(classid, objid, objsubid), obj_description(objid, classid::regclass::text)
FROM pg_depend JOIN pg_extension e ON e.oid = refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'soft_delete' AND classid <> 'pg_type'::regclass
ORDER BY 2;

SELECT 'function', pg_get_functiondef(p.oid), ARRAY(SELECT a::text FROM unnest(coalesce(proacl, acldefault('f', proowner))) AS a ORDER BY 1)
FROM pg_proc p WHERE pronamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY p.oid::regprocedure::text COLLATE "C";

SELECT 'relation', oid::regclass, relkind, relrowsecurity, relreplident, reloptions,
	(SELECT amname FROM pg_am WHERE pg_am.oid = relam), ARRAY(SELECT a::text FROM unnest(coalesce(relacl, acldefault('r', relowner))) AS a ORDER BY 1)
FROM pg_class WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY relnamespace::regnamespace::text, relname COLLATE "C";

SELECT 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) AND attnum > 0 ORDER BY relnamespace::regnamespace::text, relname COLLATE "C", attnum;

SELECT 'view', oid::regclass, pg_get_viewdef(oid)
FROM pg_class WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) AND relkind = 'v' ORDER BY relnamespace::regnamespace::text, relname COLLATE "C";

SELECT 'index', pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY 2;

SELECT 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY conrelid::regclass::text COLLATE "C", 3;

SELECT 'policy', polrelid::regclass, polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY relnamespace::regnamespace::text, relname COLLATE "C", polname;

SELECT 'trigger', tgrelid::regclass, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]) ORDER BY tgrelid::regclass::text COLLATE "C", 3;

SELECT 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled, evttags FROM pg_event_trigger ORDER BY 2;

SELECT 'dumped', c.config::regclass, c.condition
FROM pg_extension, unnest(extconfig, extcondition) AS c(config, condition) WHERE extname = 'soft_delete' ORDER BY c.config::regclass::text COLLATE "C";

SELECT 'schema', ARRAY(SELECT a::text FROM unnest(nspacl) AS a ORDER BY 1) FROM pg_namespace WHERE nspname = 'soft_delete';

-- tagged tables
SELECT 'tag', tgrelid::regclass, regexp_replace(pg_get_triggerdef(t.oid), '_\d+"', '"'), tgenabled, tgisinternal, conname, obj_description(t.oid, 'pg_trigger')
FROM pg_trigger t JOIN pg_class ON pg_class.oid = tgrelid LEFT JOIN pg_constraint con ON con.oid = tgconstraint
WHERE relnamespace = 'app'::regnamespace AND tgfoid IN (SELECT oid FROM pg_proc WHERE pronamespace = ANY ('{soft_delete,soft_delete_internal}'::regnamespace[]))
ORDER BY relname COLLATE "C", 3, conname;

SELECT 'view', pg_class.oid::regclass, pg_get_viewdef(pg_class.oid), relowner::regrole, reloptions, obj_description(pg_class.oid, 'pg_class'),
	ARRAY(SELECT a::text FROM unnest(relacl) AS a ORDER BY 1)
FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'v' ORDER BY relnamespace::regnamespace::text, relname COLLATE "C";

SELECT 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = 'app'::regnamespace AND attnum > 0 AND NOT attisdropped ORDER BY relname COLLATE "C", attname COLLATE "C";

SELECT 'index', pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class')
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'app'::regnamespace ORDER BY 2;

SELECT 'check', conrelid::regclass, conname, obj_description(oid, 'pg_constraint')
FROM pg_constraint WHERE connamespace = 'app'::regnamespace AND contype = 'c' ORDER BY conrelid::regclass::text COLLATE "C", conname;

SELECT 'goes with', pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, refobjsubid)
FROM pg_depend JOIN pg_class ON pg_class.oid = objid
WHERE classid = 'pg_class'::regclass AND deptype = 'a' AND refclassid IN ('pg_class'::regclass, 'pg_constraint'::regclass)
  AND relnamespace = 'app'::regnamespace ORDER BY 2, 3;
