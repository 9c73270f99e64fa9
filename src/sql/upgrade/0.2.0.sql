/*
 * From 0.2.0: what its tables lack
 */

ALTER TABLE soft_delete_internal.holds ADD CHECK (hold <> '' AND octet_length(hold) <= 10000);
ALTER TABLE soft_delete_internal.retention DROP CONSTRAINT retention_retain_check, ADD CHECK (soft_delete_internal.is_age(retain));
