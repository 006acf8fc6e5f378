# Sourced by tests/run, after wan_namespace.sh: a second network namespace behind a veth pair, whose
# near end counts each packet as a wire would, because nothing is left for the card to split or to put
# together. The far end loses some of what is sent there. Only root can make one; without it, whoever
# wants it is told so. Sets WALRELAY_VETH: a directory with the socket of veth_agent.py, which starts
# programs of the test in that namespace as the user that servers run as.
# shellcheck shell=bash disable=SC2154 # what it is sourced after sets the rest

veth_namespace=
veth_agent=
export WALRELAY_VETH=

# The near end lives where the tests do.
in_near() {
	"${in_namespace[@]}" "$@"
}

try_veth_namespace() {
	local offloads=(tso off gso off gro off tx off rx off)
	ip netns add "$veth_namespace" &&
		in_near ip link add veth_near type veth peer name veth_far netns "$veth_namespace" &&
		in_near ip address add 10.81.0.1/24 dev veth_near &&
		ip -n "$veth_namespace" address add 10.81.0.2/24 dev veth_far &&
		in_near ethtool -K veth_near "${offloads[@]}" >/dev/null &&
		ip netns exec "$veth_namespace" ethtool -K veth_far "${offloads[@]}" >/dev/null &&
		in_near ip link set veth_near up &&
		ip -n "$veth_namespace" link set veth_far up &&
		ip -n "$veth_namespace" link set lo up &&
		ip netns exec "$veth_namespace" nft -f - <<-'END'
			table ip lossy {
				chain input {
					type filter hook input priority 0;
					ip saddr 10.81.0.1 numgen random mod 1000 < 10 drop
				}
			}
		END
}

make_veth_namespace() {
	if [ "$(id -u)" -ne 0 ]; then
		return 0
	fi
	WALRELAY_VETH=$(mktemp -d /tmp/walrelay-veth.XXXXXX)
	veth_namespace=walrelay-far-${WALRELAY_VETH##*.}
	if try_veth_namespace 2>"$WALRELAY_VETH/errors"; then
		chown postgres: "$WALRELAY_VETH"
		ip netns exec "$veth_namespace" "${as_user[@]}" /usr/bin/python3 \
			"$source_dir/tests/support/veth_agent.py" "$WALRELAY_VETH/agent" &
		veth_agent=$!
		return 0
	fi
	echo "no veth pair can be had: $(tail -n 1 "$WALRELAY_VETH/errors")"
	remove_veth_namespace
}

remove_veth_namespace() {
	if [ -n "$veth_agent" ]; then
		kill "$veth_agent" 2>/dev/null || true
		wait "$veth_agent" 2>/dev/null || true
	fi
	if [ -n "$veth_namespace" ]; then
		in_near ip link delete veth_near 2>/dev/null || true
		ip netns delete "$veth_namespace" 2>/dev/null || true
		rm -r "$WALRELAY_VETH"
	fi
	veth_agent=
	veth_namespace=
	WALRELAY_VETH=
}
