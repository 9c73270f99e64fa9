/*
 * From 0.1.0: what its tables lack
 */
ALTER TABLE soft_delete_internal.displaced ADD CHECK (jsonb_typeof("row") = 'object'), ADD CHECK (jsonb_typeof(types) = 'object');
