# test/cluster.sh: a private PostgreSQL with soft_delete, for ./demo, ./check and bench/run.
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
	apt-get -q -y --no-install-recommends install "${missing[@]}" >>"$tmp/apt.log" 2>&1 ||
		{ tail -20 "$tmp/apt.log" >&2; die "apt-get could not install ${missing[*]}"; }
	rm -f /etc/postgresql-common/createcluster.d/soft_delete.conf
}

# make_server: builds the extension and installs it into a private tree
make_server() {
	[ -x "$pg_config" ] || die "$pg_config is missing"
	bindir=$tmp/root$("$pg_config" --bindir)
	libdir=$tmp/root$("$pg_config" --pkglibdir)
	sharedir=$tmp/root$("$pg_config" --sharedir)

	say "Building soft_delete for $("$pg_config" --version)"
	mkdir -p "$tmp/build" "$bindir" "$libdir" "$sharedir"
	(cd "$top" && git ls-files -z 2>/dev/null || find . -type f -not -path './.git/*' -print0) |
		(cd "$top" && xargs -0 cp --parents -t "$tmp/build")
	# binaries are copied, for they find the rest relative to themselves
	cp -r "$("$pg_config" --bindir)/." "$bindir"
	cp -rs "$("$pg_config" --pkglibdir)/." "$libdir"
	cp -rs "$("$pg_config" --sharedir)/." "$sharedir"
	# no bitcode: that of an extension is for inlining by JIT
	make -s -j2 -C "$tmp/build" PG_CONFIG="$pg_config" with_llvm=no >"$tmp/make.log" 2>&1 &&
		make -s -C "$tmp/build" PG_CONFIG="$pg_config" with_llvm=no DESTDIR="$tmp/root" install >>"$tmp/make.log" 2>&1 ||
		{ cat "$tmp/make.log" >&2; die "make"; }
	cat "$tmp/make.log"
	export PATH=$bindir:$PATH
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

# clean_up: stops the cluster by its pid file and removes everything
clean_up() {
	local status=$?
	[ ! -f "$tmp/cluster/data/postmaster.pid" ] ||
		as_server pg_ctl -D "$tmp/cluster/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$tmp"
	exit $status
}

tmp=$(mktemp -d /tmp/soft_delete.XXXXXX)
chmod 755 "$tmp"
trap clean_up EXIT
trap 'exit 130' INT TERM
