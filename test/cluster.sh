# shellcheck shell=bash
# test/cluster.sh: a private PostgreSQL with soft_delete, for ./demo, ./check, bench/run and
# what is in test/.
#
# Nothing of the machine's own PostgreSQL is touched: the extension goes into a
# temporary tree beside links to the installed server, and the cluster runs
# there on a private socket.  Both are gone when the script ends.

set -eu
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_MAJOR=${PG_MAJOR:-15}
pg_config=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
export DEBIAN_FRONTEND=noninteractive

say() { printf '\n== %s\n' "$*"; }
die() { printf '\nfailed: %s\n' "$*" >&2; exit 1; }

# as_server COMMAND...: runs a command as the user that may run a server
as_server() {
	if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# need_packages PACKAGE...: installs what is missing, or says what to install
need_packages() {
	local missing=() package
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "these packages are missing: ${missing[*]}"
	say "Installing ${missing[*]}"
	# the package would make and start a cluster of its own
	mkdir -p /etc/postgresql-common/createcluster.d
	echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/soft_delete.conf
	apt-get -q update >"$tmp/apt.log" 2>&1 || true
	apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${missing[@]}" >>"$tmp/apt.log" 2>&1 ||
		{ tail -20 "$tmp/apt.log" >&2; die "apt-get could not install ${missing[*]}"; }
	rm -f /etc/postgresql-common/createcluster.d/soft_delete.conf
}

# may_need_packages PACKAGE...: installs those that this Debian has, where it may
may_need_packages() {
	local package
	[ "$(id -u)" = 0 ] || return 0
	for package in "$@"; do
		if apt-cache show "$package" >/dev/null 2>&1; then need_packages "$package"; fi
	done
}

# list_tree: prints the files of the repository, those that are not yet committed too
list_tree() {
	local file
	(
		cd "$top"
		if ! git ls-files --cached --others --exclude-standard 2>/dev/null; then find . -type f -not -path './.git/*'; fi
	) | while read -r file; do
		# one that is deleted is in the index still
		[ ! -e "$top/$file" ] || echo "$file"
	done
}

# copy_tree DIR: copies the repository there, with what is not yet committed
copy_tree() {
	mkdir -p "$1"
	list_tree | (cd "$top" && xargs -d '\n' cp --parents -t "$1")
}

# install_server PG_CONFIG DIR: builds the extension in DIR, and installs it into a private tree; with
# INSTALLED=1 takes the one that the server has
install_server() {
	local pg_config=$1 build=$2 libdir sharedir bindir
	[ -x "$pg_config" ] || die "$pg_config is missing"
	bindir=$tmp/root$("$pg_config" --bindir)
	libdir=$tmp/root$("$pg_config" --pkglibdir)
	sharedir=$tmp/root$("$pg_config" --sharedir)

	copy_tree "$build"
	mkdir -p "$bindir" "$libdir" "$sharedir"
	# binaries are copied, for they find the rest relative to themselves
	cp -r "$("$pg_config" --bindir)/." "$bindir"
	cp -rs "$("$pg_config" --pkglibdir)/." "$libdir"
	cp -rs "$("$pg_config" --sharedir)/." "$sharedir"
	if [ -n "${INSTALLED:-}" ]; then
		say "Taking the soft_delete of $("$pg_config" --version)"
		[ -e "$libdir/soft_delete.so" ] || die "soft_delete is not installed there"
		return 0
	fi
	say "Building soft_delete for $("$pg_config" --version)"
	# no bitcode: that of an extension is for inlining by JIT
	if ! { make -s -j2 -C "$build" PG_CONFIG="$pg_config" with_llvm=no &&
		make -s -C "$build" PG_CONFIG="$pg_config" with_llvm=no DESTDIR="$tmp/root" install; } >"$tmp/make.log" 2>&1; then
		cat "$tmp/make.log" >&2
		die "make"
	fi
	cat "$tmp/make.log"
}

# make_server: the server of $PG_MAJOR with the extension, at the head of the path
make_server() {
	install_server "$pg_config" "$tmp/build"
	bindir=$tmp/root$("$pg_config" --bindir)
	libdir=$tmp/root$("$pg_config" --pkglibdir)
	pgxs=$(dirname "$(dirname "$("$pg_config" --pgxs)")")
	export PATH=$bindir:$PATH
}

# make_older_server: where an older major is beside this one, with what builds the extension
# for it, makes that too, and exports oldinstall for the test of pg_upgrade
make_older_server() {
	local older
	older=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n |
		awk -v major="$PG_MAJOR" '$1 < major { print $1; exit }')
	[ -n "$older" ] && [ -x "/usr/lib/postgresql/$older/bin/postgres" ] &&
		[ -e "$("/usr/lib/postgresql/$older/bin/pg_config" --pgxs 2>/dev/null)" ] || return 0
	[ -z "${INSTALLED:-}" ] || [ -e "/usr/lib/postgresql/$older/lib/soft_delete.so" ] || return 0
	install_server "/usr/lib/postgresql/$older/bin/pg_config" "$tmp/older"
	export oldinstall=$tmp/root/usr/lib/postgresql/$older
}

# keep_results: keeps what the tests print in ./results
keep_results() {
	results=$top/results
	rm -rf "$results"
	mkdir "$results"
}

# start_cluster [SETTING...]: starts a cluster that preloads the library
start_cluster() {
	say "Starting a private cluster"
	mkdir "$tmp/cluster"
	[ "$(id -u)" != 0 ] || chown -R postgres "$tmp/cluster"
	as_server initdb -D "$tmp/cluster/data" -U postgres -A trust --no-sync -E UTF8 --locale=C >"$tmp/initdb.log" 2>&1 ||
		{ cat "$tmp/initdb.log" >&2; die "initdb"; }
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$tmp/cluster'" \
		"fsync = off" "max_prepared_transactions = 10" \
		"session_preload_libraries = 'soft_delete'" "$@" |
		as_server tee -a "$tmp/cluster/data/postgresql.conf" >/dev/null
	as_server pg_ctl -D "$tmp/cluster/data" -l "$tmp/cluster/log" -w start >/dev/null ||
		{ cat "$tmp/cluster/log" >&2; die "the server does not start"; }
	export PGHOST=$tmp/cluster PGUSER=postgres PGDATABASE=postgres
	unset PGPORT PGSERVICE PGOPTIONS
}

# run_regress DATABASE [TEST...]: the regression tests, all of test/schedule by default; keeps
# what they print in $results/DATABASE
run_regress() {
	local name=$1
	shift
	[ $# -gt 0 ] || set -- --schedule=test/schedule
	mkdir -p "$results/$name"
	(cd "$tmp/build" && "$pgxs/test/regress/pg_regress" --inputdir=. --outputdir="$results/$name" --bindir="$bindir" \
		--load-extension=soft_delete --dbname="$name" "$@")
}

# run_isolation [TEST...]: the same for the isolation tests
run_isolation() {
	local names
	mapfile -t names < <(basename -s .spec -- "$top"/test/isolation/specs/*.spec)
	[ $# -gt 0 ] || set -- "${names[@]}"
	mkdir -p "$results/isolation"
	(cd "$tmp/build" && "$pgxs/test/isolation/pg_isolation_regress" --inputdir=test/isolation --outputdir="$results/isolation" \
		--bindir="$bindir" --load-extension=soft_delete --dbname=isolation "$@")
}

# run_tap FILE...: TAP tests, which have clusters of their own; keeps the logs in $results/tap
run_tap() {
	local status=0 name
	mkdir -p "$tmp/tap"
	[ "$(id -u)" != 0 ] || chown postgres "$tmp/tap"
	(cd "$tmp/build" && as_server env TESTDIR="$tmp/tap" TESTDATADIR="$tmp/tap/tmp_check" TESTLOGDIR="$tmp/tap/tmp_check/log" \
		PG_REGRESS="$pgxs/test/regress/pg_regress" PGPORT=65432 prove --verbose --timer -I "$pgxs/test/perl" "$@") >"$tmp/tap.log" 2>&1 || status=$?
	cat "$tmp/tap.log"
	mkdir -p "$results/tap"
	[ ! -d "$tmp/tap/tmp_check/log" ] || cp -r "$tmp/tap/tmp_check/log/." "$results/tap"
	sed -n 's|^test/[a-z]*/\([a-z_]*\)\.pl  *(Wstat: [1-9].*|\1|p' "$tmp/tap.log" | while read -r name; do
		say "The end of the log of $name.pl"
		tail -n 40 "$results/tap/regress_log_$name" 2>/dev/null || true
	done
	return "$status"
}

# count_results FILE: what a runner reported there; sets ok and not_ok
# shellcheck disable=SC2034 # which the caller reads
count_results() {
	# "test x ... ok" up to 15, TAP from 16 on
	ok=$(grep -cE '^(test .*|  *[a-z0-9_]+ *) *\.\.+ +ok\b|^ok +[0-9]+ +[-+] ' "$1" || true)
	not_ok=$(grep -cE '\.\.+ +FAILED|^not ok +[0-9]+ +[-+] ' "$1" || true)
}

# pass NAME, fail NAME, skip_test REASON: report a test as TAP
number=0
failures=0
pass() {
	number=$((number + 1))
	echo "ok $number - $1"
}
fail() {
	number=$((number + 1))
	failures=$((failures + 1))
	echo "not ok $number - $1"
}
skip_test() {
	number=$((number + 1))
	echo "ok $number # SKIP $1"
}
# succeeds DESCRIPTION COMMAND...: a test that is passed if the command succeeds; shows what a failed one prints
succeeds() {
	local description=$1 status=0
	shift
	# a condition would turn "set -e" off
	set +e
	(set -e; "$@") >"$tmp/succeeds.log" 2>&1
	status=$?
	set -e
	if [ "$status" = 0 ]; then
		pass "$description"
	else
		fail "$description"
		cat "$tmp/succeeds.log"
	fi
}
# end_tests: the plan, and whether all have passed
end_tests() {
	echo "1..$number"
	[ "$failures" = 0 ]
}

# clean_up [STATUS]: stops the cluster by its pid file, removes everything, and exits
clean_up() {
	local status=${1:-$?}
	[ ! -f "$tmp/cluster/data/postmaster.pid" ] ||
		as_server pg_ctl -D "$tmp/cluster/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$tmp"
	exit "$status"
}

tmp=$(mktemp -d /tmp/soft_delete.XXXXXX)
chmod 755 "$tmp"
# what the tests print, and how it differs from what is expected
results=$tmp/results
trap clean_up EXIT
trap 'exit 130' INT TERM
