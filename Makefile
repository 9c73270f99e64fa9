EXTENSION = soft_delete
MODULE_big = soft_delete
OBJS = src/soft_delete.o src/tag.o src/filter.o src/write.o src/utility.o src/copy.o \
	src/stamp.o src/ledger.o src/version.o src/delete.o src/bin.o \
	src/family.o src/foreign_key.o src/guard.o src/reference.o \
	src/follow.o src/link.o src/hold.o \
	src/displace.o src/displaced.o src/stand_in.o
SQL = src/sql/functions.sql src/sql/tables.sql src/sql/hold.sql src/sql/catalog.sql src/sql/indexes.sql \
	src/sql/stand_ins.sql src/sql/views.sql src/sql/displaced.sql src/sql/references.sql \
	src/sql/tag.sql src/sql/plan.sql src/sql/undo.sql src/sql/check.sql src/sql/ddl.sql
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" soft_delete.control)
DATA_built = soft_delete--$(EXTVERSION).sql
DOCS = README.md
PGFILEDESC = "soft_delete - DELETE that an application cannot tell from the real one"
PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-clobbered

REGRESS = tag_makes tag_refuses tag_adopts untag_gives_back untag_refuses \
	delete_counts delete_triggers delete_columns delete_partitions delete_errors \
	delete_privileges select_hides rows_shows bin_restores bin_purges bin_refuses \
	keys_step_aside keys_faithful keys_restore keys_named keys_shapes keys_follow tag_prepared \
	upsert_columns write_refuses copy_live maintenance truncate_refuses stamps ledger \
	on_delete_cascade on_delete_set_null on_delete_set_default on_delete_restrict \
	on_delete_no_action on_delete_deferred on_update_cascade on_update_set_null \
	on_update_set_default on_update_restrict on_update_no_action follow_key \
	parent_live parent_deferred refuse_untagged_parent refuse_untagged_child \
	tag_cascades warn_set_null warn_no_primary_key restore_family restore_relinks \
	purge_family purge_refuses undo_restores preview check bystander
REGRESS_OPTS = --load-extension=soft_delete
ISOLATION = $(basename $(notdir $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=test --load-extension=soft_delete

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): src/soft_delete.h src/compat.h

soft_delete--$(EXTVERSION).sql: $(SQL)
	cat $^ >$@

# for ./check, which runs them on a cluster of its own
list-regress:
	@echo $(REGRESS)
list-isolation:
	@echo $(ISOLATION)
.PHONY: list-regress list-isolation
