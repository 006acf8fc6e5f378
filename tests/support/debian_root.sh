# Sourced by tests/try_package and tests/try_containers: a clean system as debootstrap makes it, kept
# as an archive in the cache, and commands in a copy of it. Wants: cache. Root only.
# shellcheck shell=bash disable=SC2154 # who sources it sets the rest

# The release of this machine.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
debian_archive=

# Sets debian_archive.
make_debian_archive() {
	debian_archive=$cache/$release-minbase.tar
	if [ -f "$debian_archive" ]; then
		return 0
	fi
	local root
	root=$(mktemp -d "$cache/debootstrap.XXXXXX")
	if debootstrap --variant=minbase --include=ca-certificates "$release" "$root" >"$root.log" 2>&1; then
		rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root.log"
		chmod 755 "$root"
		tar -C "$root" --numeric-owner -cf "$debian_archive.new" . &&
			mv "$debian_archive.new" "$debian_archive"
	else
		tail -n 20 "$root.log" >&2
	fi
	rm -rf "$root"
	[ -f "$debian_archive" ]
}

# unpack_debian DIRECTORY: nothing that is installed there starts by itself.
unpack_debian() {
	mkdir -p "$1"
	tar -C "$1" --numeric-owner -xf "$debian_archive"
	cp /etc/resolv.conf "$1/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod +x "$1/usr/sbin/policy-rc.d"
}

# in_debian DIRECTORY COMMAND...: with /proc and /dev of its own; whatever it starts ends with it.
in_debian() {
	local directory=$1
	shift
	# shellcheck disable=SC2016 # expanded inside
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		unshare --mount --pid --fork --kill-child --ipc -- bash -euc '
		directory=$1
		shift
		mount -t proc proc "$directory/proc"
		mount -t tmpfs tmpfs "$directory/dev"
		for each in null zero full random urandom; do
			touch "$directory/dev/$each"
			mount --bind "/dev/$each" "$directory/dev/$each"
		done
		mkdir -m 1777 "$directory/dev/shm"
		mkdir "$directory/dev/pts"
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$directory/dev/pts"
		ln -s pts/ptmx "$directory/dev/ptmx"
		ln -s /proc/self/fd "$directory/dev/fd"
		exec chroot "$directory" "$@"' bash "$directory" "$@"
}
