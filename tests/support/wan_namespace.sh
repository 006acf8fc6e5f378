# Sourced by tests/run and bench/run, after docker/workspace.sh: the network namespace in which paths
# over a WAN are played by wan_link.c. Only root can make one; without it, whoever wants a WAN is told
# so. Sets: in_namespace (a command prefix, empty without a namespace), WALRELAY_WAN (a directory that
# holds the TUN node for the user that servers run as).
# shellcheck shell=bash disable=SC2034 # who sources it uses what it sets

in_namespace=()
wan_namespace=
export WALRELAY_WAN=

# wan_device NAME NUMBER: addresses as wan_link.c wants them, in 10.80.NUMBER.0/24. Sockets on its
# routes begin with the congestion control of that name; choosing one by route is root's alone.
wan_device() {
	local device=wan_$1 net=10.80.$2
	ip -n "$wan_namespace" tuntap add dev "$device" mode tun user postgres &&
		ip -n "$wan_namespace" link set "$device" up mtu 1500 txqueuelen 10000 &&
		ip -n "$wan_namespace" address add "$net.1/32" dev "$device" &&
		ip -n "$wan_namespace" address add "$net.2/32" dev "$device" &&
		ip -n "$wan_namespace" route add "$net.4" dev "$device" src "$net.1" congctl "$1" &&
		ip -n "$wan_namespace" route add "$net.3" dev "$device" src "$net.2" congctl "$1"
}

try_wan_namespace() {
	ip netns add "$wan_namespace" &&
		ip -n "$wan_namespace" link set lo up &&
		ip netns exec "$wan_namespace" sh -c 'echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save' &&
		wan_device bbr 0 && wan_device cubic 1 &&
		mknod -m 0600 "$WALRELAY_WAN/tun" c 10 200 && chown postgres: "$WALRELAY_WAN/tun"
}

make_wan_namespace() {
	if [ "$(id -u)" -ne 0 ]; then
		return 0
	fi
	WALRELAY_WAN=$(mktemp -d /tmp/walrelay-wan.XXXXXX)
	chmod 0755 "$WALRELAY_WAN"
	wan_namespace=walrelay-${WALRELAY_WAN##*.}
	if try_wan_namespace 2>"$WALRELAY_WAN/errors"; then
		in_namespace=(ip netns exec "$wan_namespace")
		return 0
	fi
	echo "no WAN can be played: $(tail -n 1 "$WALRELAY_WAN/errors")"
	remove_wan_namespace
}

remove_wan_namespace() {
	if [ -n "$wan_namespace" ]; then
		ip netns delete "$wan_namespace" 2>/dev/null || true
		rm -r "$WALRELAY_WAN"
	fi
	in_namespace=()
	wan_namespace=
	WALRELAY_WAN=
}
