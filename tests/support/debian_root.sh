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

# Mounts of a system below DIRECTORY, in a mount namespace of its own.
# shellcheck disable=SC2016 # expanded there
debian_mounts='
	mount -t proc proc "$directory/proc"
	mount --bind "$directory/proc/sys" "$directory/proc/sys"
	mount -o remount,ro,bind "$directory/proc/sys"
	mount -t tmpfs tmpfs "$directory/dev"
	for each in null zero full random urandom tty; do
		touch "$directory/dev/$each"
		mount --bind "/dev/$each" "$directory/dev/$each"
	done
	mkdir "$directory/dev/pts"
	mount -t devpts -o newinstance,ptmxmode=0666 devpts "$directory/dev/pts"
	mkdir -m 1777 "$directory/dev/shm"
	ln -s pts/ptmx "$directory/dev/ptmx"
	ln -s /proc/self/fd "$directory/dev/fd"
'
debian_environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
	DEBIAN_FRONTEND=noninteractive)

# in_debian DIRECTORY COMMAND...: whatever it starts ends with it.
in_debian() {
	# shellcheck disable=SC2016 # expanded inside
	env -i "${debian_environment[@]}" mounts="$debian_mounts" \
		unshare --mount --pid --fork --kill-child --ipc -- bash -euc '
		directory=$1
		shift
		eval "$mounts"
		exec chroot "$directory" "$@"' bash "$@"
}

# Sets booted, what waits for it, and booted_init, its process 1. systemd wants a root that is mounted,
# and a hierarchy of control groups, where it is given a group of its own.
boot_debian() {
	control_group=/sys/fs/cgroup/systemd/walrelay-test.$$
	mkdir "$control_group" 2>/dev/null || control_group=
	# shellcheck disable=SC2016 # expanded inside
	env -i "${debian_environment[@]}" mounts="$debian_mounts" container=test bash -c '
		[ -z "$0" ] || echo $$ >"$0/cgroup.procs"
		exec "$@"' "$control_group" unshare --mount --pid --fork --kill-child --ipc --uts --cgroup -- bash -euc '
		directory=$1
		mount --make-rprivate /
		mount --bind "$directory" "$directory"
		eval "$mounts"
		mount -t sysfs sysfs "$directory/sys"
		mount -t tmpfs tmpfs "$directory/run"
		mount -t tmpfs tmpfs "$directory/sys/fs/cgroup"
		mkdir "$directory/sys/fs/cgroup/systemd"
		mount -t cgroup -o none,name=systemd cgroup "$directory/sys/fs/cgroup/systemd"
		cd "$directory"
		mkdir -p old
		pivot_root . old
		umount -l old
		rmdir old
		unset mounts
		exec chroot . /lib/systemd/systemd --log-target=journal' bash "$1" >/dev/null 2>&1 &
	booted=$!
	local deadline=$((SECONDS + 60))
	until booted_init=$(pgrep -P "$booted") &&
		in_booted systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)$'; do
		if ! kill -0 "$booted" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
			return 1
		fi
		sleep 0.5
	done
}

in_booted() {
	env -i "${debian_environment[@]}" nsenter -t "$booted_init" --mount --pid --ipc --uts --cgroup \
		--root --wd -- "$@"
}

end_booted() {
	if [ -n "${booted-}" ]; then
		kill -KILL "${booted_init:-$booted}" 2>/dev/null || true
		wait "$booted" 2>/dev/null || true
		booted=
		if [ -n "$control_group" ]; then
			find "$control_group" -depth -type d -exec rmdir {} + || true
		fi
	fi
}
