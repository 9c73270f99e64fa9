# shellcheck shell=bash
# test/source.sh: PostgreSQL's own sources, for test/suite/run and test/assert; after cluster.sh.

# fetch_source DIR [PATH]: unpacks Debian's source package of $PG_MAJOR there, or just a
# path of it: of the installed version, or the newest that there is; fails if it cannot
# be had
fetch_source() {
	# shellcheck disable=SC2154 # of cluster.sh
	local apt=$tmp/apt version
	local options=(-q -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$apt/lists" -o APT::Sandbox::User=root)
	mkdir -p "$apt/lists/partial" "$1"
	# from where this machine's packages come
	# shellcheck disable=SC2016 # apt-get's own variables
	apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		sort -u >"$apt/sources.list"
	apt-get "${options[@]}" -o Acquire::Check-Valid-Until=false update >"$apt/log" 2>&1 || true
	for version in $(dpkg-query -W -f '${source:Version}\n' "postgresql-$PG_MAJOR") \
		$(apt-cache "${options[@]:1}" showsrc --only-source "postgresql-$PG_MAJOR" 2>/dev/null |
			awk '$1 == "Version:" { print $2 }' | sort -rVu); do
		if (cd "$apt" && apt-get "${options[@]}" source --download-only --only-source "postgresql-$PG_MAJOR=$version") >>"$apt/log" 2>&1; then
			say "Unpacking the sources of PostgreSQL $version"
			tar -xf "$apt"/*.orig.tar.* -C "$1" --strip-components=1 ${2:+--wildcards "*/$2"}
			return 0
		fi
	done
	return 1
}
