"""Billed bytes against the kernel's own count of what crossed a wire that loses packets."""
import pytest

from support import veth
from support.load import write_wal
from support.wait import wait_until

pytestmark = pytest.mark.xdist_group("veth")
# What is billed, and what comes in: there acknowledgements of what arrived past a loss carry 12 bytes
# and more of options, which the kernel counts nowhere.
TOLERANCE = {"tx": 0.01, "rx": 0.2}


@pytest.fixture(name="relay")
def relay_on_the_wire(site):
    if not veth.is_available():
        pytest.skip("needs a second network namespace, which tests/run makes when run as root")
    primary = site.primary(wal_segsize=1, wal_level="replica")
    relay = site.relay(primary, start=False,
                       **{"destination far": {"match": "address 10.81.0.0/24"}})
    relay.hba_file.write_text("host replication all 127.0.0.1/32 trust\n"
                              "host replication all 10.81.0.0/24 trust\n")
    relay.configure("relay", listen=f"{veth.NEAR}:{relay.port}, 127.0.0.1:{relay.port}",
                    wal_sender_timeout="2s")
    relay.start()
    return primary, relay


def counted(relay):
    def metric(name):
        return relay.metric(f"destination_{name}_total", destination="far")
    return {"tx": metric("billed_bytes"), "rx": metric("billed_received_bytes")}


def far_client(site, relay, name, program, *arguments):
    conninfo = relay.conninfo(host=veth.NEAR, application_name=name)
    return veth.FarProgram(name, site.directory / name, [
        site.client_bin / program, "-d", conninfo, *arguments])


def retransmitted():
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


def test_billed_bytes_are_those_of_the_wire(site, relay):
    """Idle (keepalives twice a second), load, a base backup, and packets lost all along."""
    primary, relay = relay
    began = {way: veth.ip_bytes(way) for way in ("tx", "rx")}
    lost = retransmitted()
    received = site.directory / "received"
    received.mkdir()
    client = far_client(site, relay, "far", "pg_receivewal", "-D", received, "--no-sync", "-s", "1")
    wait_until(lambda: relay.metric("standbys", destination="far") == 1)
    replies = relay.status()["standbys"][0]["wire_received_bytes"]
    wait_until(lambda: relay.status()["standbys"][0]["wire_received_bytes"] > replies + 200,
               60, "an idle connection's keepalives")
    write_wal(primary, 12)
    backup = far_client(site, relay, "backup", "pg_basebackup", "-D", site.directory / "copy", "-X",
                        "none", "-c", "fast")
    assert backup.wait() == 0, backup.log_text()
    write_wal(primary, 4)
    target = primary.flush_lsn()
    wait_until(lambda: (relay.metric("standby_write_lsn_bytes", standby="far") or 0) >= target, 60)
    client.stop()
    wait_until(lambda: not relay.status()["standbys"])

    def is_quiet(last={}):
        now = (counted(relay), veth.ip_bytes("tx"), veth.ip_bytes("rx"))
        return last.get("now") == now or last.update(now=now)
    wait_until(is_quiet, 30, "the wire to be quiet", interval=0.5)
    assert retransmitted() > lost, "nothing was lost"
    told = counted(relay)
    for way in ("tx", "rx"):
        wire = veth.ip_bytes(way) - began[way]
        print(f"{way}: {told[way]:.0f} counted, {wire} on the wire, "
              f"{100 * (told[way] / wire - 1):+.3f} %")
        assert abs(told[way] - wire) <= TOLERANCE[way] * wire, f"{way}: {told[way]} of {wire}"
    assert relay.metric("destination_backup_bytes_total", destination="far") > 10 << 20
