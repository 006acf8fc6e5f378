# Run by tests/try_package in a clean root where walrelay and PostgreSQL are installed: the relay is
# started as its unit says, follows a server, and holds the same WAL.
# shellcheck shell=bash

bin=$(echo /usr/lib/postgresql/*/bin)
unit=/lib/systemd/system/walrelay.service

of_unit() {
	sed -n "s/^$1=//p" "$unit"
}

# as USER COMMAND...
as() {
	setpriv --reuid "$1" --regid "$1" --init-groups -- "${@:2}"
}

# Itself becomes the command.
become() {
	exec setpriv --reuid "$1" --regid "$1" --init-groups -- "${@:2}"
}

# wait_until WHAT COMMAND...
wait_until() {
	local what=$1 deadline=$((SECONDS + 60))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			echo "gave up waiting for $what" >&2
			cat /tmp/relay.log >&2
			return 1
		fi
		read -rt 0.2 <> <(:) || true
	done
}

ask() {
	as postgres psql -qAtX -h /tmp -c "$1"
}

start_primary() {
	as postgres "$bin/initdb" -D /tmp/primary --auth=trust >/dev/null
	as postgres "$bin/pg_ctl" -D /tmp/primary -l /tmp/primary.log -w start \
		-o "-c unix_socket_directories=/tmp -c listen_addresses= -c max_slot_wal_keep_size=1GB" >/dev/null
	ask "CREATE ROLE replicator LOGIN REPLICATION"
}

configure() {
	cat >/etc/walrelay/walrelay.ini <<-'END'
		[relay]
		name = packaged
		data_dir = /var/lib/walrelay
		[upstream]
		conninfo = host=/tmp user=replicator
		[spool]
		min_free = 64MB
	END
	as walrelay walrelay check -c /etc/walrelay/walrelay.ini >/dev/null
}

start_relay() {
	local command
	read -ra command < <(of_unit ExecStart)
	become "$(of_unit User)" "${command[@]}" >/tmp/relay.log 2>&1 &
	relay=$!
	wait_until "the relay to stream" walrelay nagios -c /etc/walrelay/walrelay.ini
}

has_same_segment() {
	cmp "/tmp/primary/pg_wal/$1" "/var/lib/walrelay/wal/$1"
}

check_wal() {
	local segment
	ask "CREATE TABLE t AS SELECT generate_series(1, 100000) AS a"
	segment=$(ask "SELECT pg_walfile_name(pg_current_wal_lsn())")
	ask "SELECT pg_switch_wal()" >/dev/null
	wait_until "segment $segment" has_same_segment "$segment"
	walrelay status -c /etc/walrelay/walrelay.ini
}

start_primary
configure
start_relay
check_wal
kill -TERM "$relay"
wait "$relay"
as postgres "$bin/pg_ctl" -D /tmp/primary -m fast stop >/dev/null
