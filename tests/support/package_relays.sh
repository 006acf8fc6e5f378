# Run by tests/try_package in a clean root where walrelay and PostgreSQL are installed: a relay follows a
# server and holds the same WAL, started by hand as its unit says, or by systemd itself.
# shellcheck shell=bash

bin=$(echo /usr/lib/postgresql/*/bin)
home=/var/lib/postgresql
unit=/lib/systemd/system/walrelay.service
config=/etc/walrelay/walrelay.ini

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
			cat /tmp/relay.log >&2 2>/dev/null || journalctl --no-pager -u walrelay >&2
			return 1
		fi
		sleep 0.2
	done
}

ask() {
	PGOPTIONS="-c client_min_messages=warning" as postgres psql -qAtX -h "$home" -c "$1"
}

start_primary() {
	as postgres "$bin/pg_ctl" -D "$home/primary" -l "$home/primary/log" -w start \
		-o "-c unix_socket_directories=$home -c listen_addresses= -c max_slot_wal_keep_size=1GB" \
		>/dev/null
}

make_primary() {
	as postgres "$bin/initdb" -D "$home/primary" --auth=trust >/dev/null
	start_primary
	ask "CREATE ROLE replicator LOGIN REPLICATION"
}

stop_primary() {
	as postgres "$bin/pg_ctl" -D "$home/primary" -m fast stop >/dev/null
}

configure() {
	cat >"$config" <<-END
		[relay]
		name = packaged
		data_dir = /var/lib/walrelay
		[upstream]
		conninfo = host=$home user=replicator
		[spool]
		min_free = 64MB
	END
	as walrelay walrelay check -c "$config" >/dev/null
}

has_same_segment() {
	cmp "$home/primary/pg_wal/$1" "/var/lib/walrelay/wal/$1"
}

check_wal() {
	local segment
	wait_until "the relay to stream" walrelay nagios -c "$config"
	ask "CREATE TABLE IF NOT EXISTS t (a int)"
	ask "INSERT INTO t SELECT generate_series(1, 100000)"
	segment=$(ask "SELECT pg_walfile_name(pg_current_wal_lsn())")
	ask "SELECT pg_switch_wal()" >/dev/null
	wait_until "segment $segment" has_same_segment "$segment"
}

by_hand() {
	local command relay
	make_primary
	configure
	read -ra command < <(of_unit ExecStart)
	become "$(of_unit User)" "${command[@]}" >/tmp/relay.log 2>&1 &
	relay=$!
	check_wal
	walrelay status -c "$config"
	kill -TERM "$relay"
	wait "$relay"
	rm /tmp/relay.log
	stop_primary
}

# show PROPERTY
show() {
	systemctl show walrelay -P "$1"
}

has_restarted() {
	[ "$(show NRestarts)" -ge 1 ] && [ "$(show MainPID)" != "$1" ] && systemctl is-active walrelay
}

has_logged() {
	journalctl --no-pager -u walrelay | grep -qF "$1"
}

# What hangs is ended and started anew.
check_watchdog() {
	local pid
	mkdir -p /run/systemd/system/walrelay.service.d
	printf '[Service]\nWatchdogSec=5s\n' >/run/systemd/system/walrelay.service.d/soon.conf
	systemctl daemon-reload
	systemctl restart walrelay
	check_wal
	pid=$(show MainPID)
	kill -STOP "$pid"
	wait_until "the watchdog" has_restarted "$pid"
	check_wal
}

check_reload() {
	systemctl reload walrelay
	wait_until "the reload" has_logged "configuration reloaded"
	echo "nonsense = 1" >>"$config"
	if systemctl reload walrelay 2>/dev/null; then
		echo "a faulty configuration is reloaded" >&2
		return 1
	fi
	systemctl is-active walrelay >/dev/null
	configure
}

check_upgrade_in_place() {
	local pid
	pid=$(show MainPID)
	systemctl kill --signal=USR2 --kill-whom=main walrelay
	wait_until "the new binary" has_logged "received a signal to start the binary anew"
	check_wal
	[ "$(show MainPID)" = "$pid" ]
}

# The sockets outlive the service.
check_sockets() {
	systemctl stop walrelay
	systemctl start walrelay.socket
	wait_until "status by way of a socket" walrelay status -c "$config"
	systemctl is-active walrelay >/dev/null
	check_wal
	systemctl stop walrelay.socket
}

as_a_service() {
	start_primary
	systemctl restart walrelay
	check_wal
	[ "$(stat -c "%U %a" /var/lib/walrelay)" = "walrelay 700" ]
	check_reload
	check_upgrade_in_place
	check_watchdog
	check_sockets
	systemctl stop walrelay
	[ "$(show Result)" = success ]
	stop_primary
}

"$1"
