"""Hub and edge with a WAN between them: 80 ms, 50 Mbit/s, 0.1 % loss, and the WAN goes away."""
import time

import pytest

from support.load import assert_same_rows, write_noise, write_wal
from support.wait import wait_until
from support.wal import assert_same_wal

pytestmark = pytest.mark.xdist_group("wan")

MB = 1 << 20
TIMEOUTS = {"wal_receiver_timeout": "2s", "wal_receiver_status_interval": "500ms"}


def hub_and_edge(site, wan, primary, **relay_options):
    hub = site.relay(primary, "hub", start=False, spool={"retain_size": "2GB"})
    wan.admit(hub)
    hub.configure("relay", wal_sender_timeout="2s").start()
    edge = site.relay(wan.conninfo(hub, application_name="edge"), "edge",
                      spool={"retain_size": "2GB"}, upstream=TIMEOUTS, **relay_options)
    return hub, edge


@pytest.mark.parametrize("congestion", ["bbr", "cubic"])
def test_everything_arrives_and_a_standby_follows(site, wan, congestion):
    path = wan(congestion)
    primary = site.primary(wal_segsize=1)
    _, edge = hub_and_edge(site, path, primary)
    standby = site.standby(primary, edge, "standby")
    write_wal(primary, 3)
    end = primary.switch_wal()
    edge.wait_flushed(end)
    assert_same_wal(edge.spool, primary.pg_wal, end, MB)
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["filler"])


def test_lanes_are_opened_where_each_loss_costs_much(site, wan):
    """cubic over a long path with losses; then the path goes away under the lanes, and comes back."""
    path = wan("cubic")
    primary = site.primary(wal_segsize=1, max_wal_size="1GB")
    hub = site.relay(primary, "hub", start=False, spool={"retain_size": "2GB"},
                     link={"congestion": ""})
    path.admit(hub)
    hub.configure("relay", wal_sender_timeout="5s").start()
    write_noise(primary, 90)
    edge = site.relay(path.conninfo(hub, application_name="edge"), "edge",
                      spool={"retain_size": "2GB"}, start=False,
                      upstream={"start": "oldest", **TIMEOUTS, "wal_receiver_timeout": "5s"})
    edge.start(wait=False)
    wait_until(lambda: edge.metric("link_upstream_lanes") == 8, deadline=120, what="lanes")
    assert hub.standby_count() == 1
    path.cut()
    wait_until(lambda: not edge.is_connected(), what="the edge to notice")
    path.heal()
    write_noise(primary, 5)
    end = primary.switch_wal()
    edge.wait_flushed(end, 240)
    assert_same_wal(edge.spool, primary.pg_wal, end, MB)


def carried_since(path, before):
    return path.outward().carried_payload_bytes - before


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_partition_costs_only_what_was_under_way(site, wan, compression):
    """As long as it takes both ends to notice, and until a segment of WAL has gone by. What the edge
    holds of the segment, some megabytes, does not cross the path again over the link."""
    path = wan(loss_per_million=0)
    primary = site.primary(max_wal_size="1GB")
    hub, edge = hub_and_edge(site, path, primary, link={"compression": compression})
    for megabytes in (1, 20):
        primary.switch_wal()
        edge.wait_received(primary.flush_lsn())
        held, carried = edge.received_lsn(), path.outward().carried_payload_bytes
        write_noise(primary, 5)
        edge.wait_received(primary.flush_lsn())
        # So much of it goes over the path, of each byte of WAL.
        share = carried_since(path, carried) / (edge.received_lsn() - held)
        path.cut()
        wait_until(lambda: not edge.is_connected(), what="the edge to notice")
        wait_until(lambda: hub.standby_count() == 0, what="the hub to notice")
        write_noise(primary, megabytes)
        held, carried = edge.received_lsn(), path.outward().carried_payload_bytes
        path.heal()
        edge.wait_received(primary.flush_lsn(), 60)
        # Without the link it is as with a standby, which asks for the segment from its beginning.
        again = held % (16 * MB) if compression == "none" else 0
        assert carried_since(path, carried) < \
            1.1 * share * (edge.received_lsn() - held) + again + MB // 2
    end = primary.switch_wal()
    edge.wait_flushed(end)
    assert_same_wal(edge.spool, primary.pg_wal, end, 16 * MB)


@pytest.mark.long
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_partition_of_a_minute_costs_only_what_was_under_way(site, wan, compression):
    """With the time-outs that everybody has, and WAL going on all the time."""
    path = wan()
    primary = site.primary(max_wal_size="1GB")
    hub = site.relay(primary, "hub", start=False, spool={"retain_size": "2GB"})
    path.admit(hub)
    hub.start()
    edge = site.relay(path.conninfo(hub, application_name="edge"), "edge",
                      spool={"retain_size": "2GB"}, link={"compression": compression})
    write_noise(primary, 10)
    edge.wait_received(primary.flush_lsn())
    held, carried = edge.received_lsn(), path.outward().carried_payload_bytes
    write_noise(primary, 20)
    edge.wait_received(primary.flush_lsn(), 60)
    share = carried_since(path, carried) / (edge.received_lsn() - held)
    load = site.pgbench(primary, rate=100)
    held, sent = edge.received_lsn(), path.outward().sent_payload_bytes
    path.cut()
    cut_at = time.monotonic()
    write_noise(primary, 20)
    wait_until(lambda: time.monotonic() - cut_at > 60, deadline=90, what="a minute to pass")
    path.heal()
    load.stop()
    edge.wait_received(primary.flush_lsn(), 120)
    # What is under way is what the path and its queue hold; losses are sent again, too.
    again = held % (16 * MB) if compression == "none" else 0
    assert path.outward().sent_payload_bytes - sent < \
        1.1 * share * (edge.received_lsn() - held) + again + 2 * MB
    end = primary.switch_wal()
    edge.wait_flushed(end)
    assert_same_wal(edge.spool, primary.pg_wal, end, 16 * MB)
