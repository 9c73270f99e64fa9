# where the sources are: make runs elsewhere in a VPATH build
from = $(if $(VPATH),$(VPATH)/)
EXTENSION = soft_delete
MODULE_big = soft_delete
OBJS = $(patsubst $(from)%.c,%.o,$(sort $(wildcard $(from)src/*.c $(from)src/*/*.c)))
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
	bin_sharded \
	purge_retention \
	purge \
	purge_sharded \
	monitor \
	monitor_check \
	monitor_sharded \
	ddl_citus \
	ddl_sharded \
	ddl_tag_refusals \
	ddl_aside \
	ddl_bridge \
	ddl_tag \
	ddl_partitions \
	ddl_schemas \
	ddl_preview \
	ddl_events \
	extension \
	dump \
	interface \
	interface_views \
	revoke \
	grants))
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(from)soft_delete.control)
# Older versions: each has an upgrade script, and its install script in test/versions for test/t/climb.pl.  A
# release copies its own there, joins them, and has an src/sql/upgrade/VERSION.sql for what its
# upgrade needs by hand.
OLD_VERSIONS = 0.1.0 0.2.0
UPGRADES = $(patsubst %,soft_delete--%--$(EXTVERSION).sql,$(OLD_VERSIONS))
DATA_built = soft_delete--$(EXTVERSION).sql $(UPGRADES)
DOCS = README.md CHANGELOG.md SECURITY.md
EXTRA_CLEAN = soft_delete-$(EXTVERSION).zip soft_delete.7
PGFILEDESC = "soft_delete - DELETE that an application cannot tell from the real one"
PG_CPPFLAGS = -I$(from)src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-clobbered \
	-fvisibility=hidden

# by promise; PGXS wants the names
REGRESS = $(shell sed -n 's/^test: *//p' $(from)test/schedule)
REGRESS_OPTS = --load-extension=soft_delete
ISOLATION = $(sort $(basename $(notdir $(wildcard $(from)test/isolation/specs/*.spec))))
ISOLATION_OPTS = --inputdir=$(from)test/isolation --load-extension=soft_delete
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# the database that tests come back to with \connect; the last --dbname counts
REGRESS_OPTS += --dbname=regression

$(OBJS): $(from)src/compat.h $(wildcard $(from)src/*/*.h)
ifdef VPATH
# a rule for these directories would be satisfied by those of the sources
$(shell mkdir -p $(sort $(dir $(OBJS))))
endif

soft_delete--$(EXTVERSION).sql: $(SQL)
	cat $^ >$@

$(UPGRADES): soft_delete--%--$(EXTVERSION).sql: src/sql/upgrade/begin.sql $(filter-out %/install.sql %/revoke.sql %/grants.sql,$(SQL)) src/sql/upgrade/%.sql src/sql/upgrade/end.sql src/sql/grants.sql
	sed -e 's/^CREATE \(FUNCTION\|PROCEDURE\|VIEW\)/CREATE OR REPLACE \1/' \
		-e 's/^CREATE \(SCHEMA\|TABLE\|INDEX\|UNIQUE INDEX\)/CREATE \1 IF NOT EXISTS/' \
		-e '/^\\echo/d' $^ >$@

# documentation goes into a directory of our own, laid out as here, so that its links hold, but for
# those to the sources
docmoduledir = soft_delete
DOC_PAGES = $(sort $(shell cd $(srcdir) && find docs -name '*.md' -o -name '*.svg' -o -name '*.json' -o -name '*.yaml') \
	$(patsubst $(from)%,%,$(wildcard $(addprefix $(from)bench/results/,*.md *.svg))))
ifdef docdir
install: install-docs
uninstall: uninstall-docs
endif

# the man page is the reference
all: soft_delete.7
install: install-man
uninstall: uninstall-man
soft_delete.7: docs/reference.md docs/man.awk CHANGELOG.md soft_delete.control
	awk -v version=$(EXTVERSION) -v date="$$(sed -n 's/^## .*(\([0-9-]*\).*/\1/p' $(from)CHANGELOG.md | head -n 1)" \
		-f $(from)docs/man.awk $(from)docs/reference.md >$@.tmp
	mv $@.tmp $@

.PHONY: install-docs uninstall-docs install-man uninstall-man dist
install-man: soft_delete.7
	$(MKDIR_P) '$(DESTDIR)$(mandir)/man7'
	$(INSTALL_DATA) $< '$(DESTDIR)$(mandir)/man7/soft_delete.7'

uninstall-man:
	rm -f '$(DESTDIR)$(mandir)/man7/soft_delete.7'

install-docs: installdirs
	for page in $(DOC_PAGES); do \
		$(MKDIR_P) "$(DESTDIR)$(docdir)/$(docmoduledir)/$$(dirname "$$page")" && \
		$(INSTALL_DATA) "$(srcdir)/$$page" "$(DESTDIR)$(docdir)/$(docmoduledir)/$$page" || exit; \
	done

uninstall-docs:
	rm -rf '$(DESTDIR)$(docdir)/$(docmoduledir)/docs' '$(DESTDIR)$(docdir)/$(docmoduledir)/bench'

# the archive for PGXN, of the last commit
dist:
	git -C $(srcdir) archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ HEAD >$(EXTENSION)-$(EXTVERSION).zip
