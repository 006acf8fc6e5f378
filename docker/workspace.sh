# Sourced by tests/run, docker/demo, docker/package and bench/run: who runs servers, and where things are built.
# Wants: root (the checkout). Sets: as_user (a command prefix), cache, work (this checkout's part of
# the cache, told apart by its path, so that the next build is quick), source_dir.
# shellcheck shell=bash

# PostgreSQL and the relay refuse root, so root hands over to the user that PostgreSQL's package made.
choose_user() {
	if [ "$(id -u)" -eq 0 ]; then
		as_user=(setpriv --reuid postgres --regid postgres --init-groups --
			env HOME=/tmp USER=postgres LOGNAME=postgres)
		cache=/var/cache/walrelay
	else
		as_user=()
		cache=${XDG_CACHE_HOME:-$HOME/.cache}/walrelay
	fi
	work=$cache/$(printf "%s" "${root:?}" | sha256sum | cut -c1-12)
	mkdir -p "$work"
	if [ "$(id -u)" -eq 0 ]; then
		chown postgres: "$cache" "$work"
	fi
	source_dir=$root
	if ! is_readable; then
		copy_source
	fi
}

is_readable() {
	local unreadable
	unreadable=$(cd / && "${as_user[@]}" find "$root"/[!.]* ! -readable -print -quit 2>&1) &&
		[ -z "$unreadable" ]
}

# The files of this tree that are not made by building, each ended by a zero byte.
list_source() {
	if git -c safe.directory="$root" -C "$root" rev-parse >/dev/null 2>&1; then
		git -c safe.directory="$root" -C "$root" ls-files -coz --exclude-standard
	else
		(cd "$root" && find . -name 'build*' -prune -o -type f -print0)
	fi
}

# Times are kept, so that ninja builds only what changed since the last copy.
copy_source() {
	source_dir=$work/source
	rm -rf "$source_dir"
	mkdir -p "$source_dir"
	list_source | tar -C "$root" --null --ignore-failed-read -T - -c 2>/dev/null |
		tar -C "$source_dir" --no-same-owner -x
	if [ "$(id -u)" -eq 0 ]; then
		chown -R postgres: "$source_dir"
	fi
	echo "this checkout is private: a copy of it is used, $source_dir"
}

# A command as that user in the source tree, which it leaves as it is.
run() {
	(cd "$source_dir" && "${as_user[@]}" env PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 "$@")
}

# build DIRECTORY-NAME MESON-OPTION...: builds what changed; configures every time, because a new
# folder of tests is found only then.
build() {
	local dir=$work/$1 again=()
	shift
	if run test -f "$dir/build.ninja"; then
		again=(--reconfigure)
	fi
	run meson setup "${again[@]}" "$dir" "$source_dir" "$@" &&
		run meson compile -C "$dir" -j "$(nproc)"
}
