EXTENSION = soft_delete
MODULE_big = soft_delete
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
# in the order that they need
SQL = $(addprefix src/sql/,$(addsuffix .sql, \
	install \
	catalog_owner \
	catalog \
	delete \
	plan \
	storage \
	keys_prepared \
	keys_bin_index \
	keys_stand_in \
	keys \
	references \
	cascade \
	bin \
	bin_views \
	bin_hold \
	bin_undo \
	bin_preview \
	bin_erase \
	purge_retention \
	purge \
	monitor \
	monitor_check \
	ddl_tag_refusals \
	ddl_aside \
	ddl_tag \
	ddl_partitions \
	ddl_schemas \
	ddl_events \
	extension \
	interface \
	interface_views \
	revoke \
	grants))
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" soft_delete.control)
# Older versions: each has an upgrade script, and its install script in test/versions for test/t/climb.pl.  A
# release copies its own there, joins them, and has an src/sql/upgrade/VERSION.sql for what its
# upgrade needs by hand.
OLD_VERSIONS = 0.1.0 0.2.0
UPGRADES = $(patsubst %,soft_delete--%--$(EXTVERSION).sql,$(OLD_VERSIONS))
DATA_built = soft_delete--$(EXTVERSION).sql $(UPGRADES)
DOCS = README.md $(wildcard docs/*.md docs/*.svg)
PGFILEDESC = "soft_delete - DELETE that an application cannot tell from the real one"
PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-clobbered \
	-fvisibility=hidden

# by promise; PGXS wants the names
REGRESS = $(shell sed -n 's/^test: *//p' test/schedule)
REGRESS_OPTS = --load-extension=soft_delete
ISOLATION = $(sort $(basename $(notdir $(wildcard test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=test/isolation --load-extension=soft_delete
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# the database that tests come back to with \connect; the last --dbname counts
REGRESS_OPTS += --dbname=regression

$(OBJS): src/compat.h $(wildcard src/*/*.h)

soft_delete--$(EXTVERSION).sql: $(SQL)
	cat $^ >$@

$(UPGRADES): soft_delete--%--$(EXTVERSION).sql: src/sql/upgrade/begin.sql $(filter-out %/install.sql %/revoke.sql %/grants.sql,$(SQL)) src/sql/upgrade/%.sql src/sql/upgrade/end.sql src/sql/grants.sql
	sed -e 's/^CREATE \(FUNCTION\|PROCEDURE\|VIEW\)/CREATE OR REPLACE \1/' \
		-e 's/^CREATE \(SCHEMA\|TABLE\|INDEX\|UNIQUE INDEX\)/CREATE \1 IF NOT EXISTS/' \
		-e '/^\\echo/d' $^ >$@
