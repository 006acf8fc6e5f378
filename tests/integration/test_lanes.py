"""A link over several connections: the same bytes, whatever happens to one of them."""
import random

import pytest

from support.load import assert_same_rows, write_noise, write_wal
from support.wait import wait_until
from support.wal import assert_same_spools, assert_same_wal

SPOOL = {"retain_size": "2GB"}


def lanes(edge):
    return edge.metric("link_upstream_lanes")


def edge_with_lanes(site, hub, count=4, name="edge", **upstream):
    edge = site.relay(hub, name, spool=SPOOL, link={"lanes": count},
                      upstream={"start": "oldest", **upstream})
    wait_until(lambda: lanes(edge) == count, what=f"{name} to have its lanes")
    return edge


def test_what_comes_over_lanes_is_what_the_primary_has(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", spool=SPOOL)
    edge = edge_with_lanes(site, hub)
    standby = site.standby(primary, edge, "standby")
    write_wal(primary, 60)
    site.pgbench(primary, seconds=4).process.wait(60)
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    assert_same_spools(primary, hub, edge)
    assert edge.metric("link_upstream_plain_requests_total") == 0
    # Three more connections, and no more standbys.
    assert hub.standby_count() == 1
    standbys = hub.status()["standbys"]
    assert [one["link_lanes"] for one in standbys if one["is_link"]] == [4]
    assert hub.metric("destination_wal_bytes_total", destination="other") > 60 << 20
    # Whichever of them a batch went over, it is told of what kinds it is.
    wait_until(lambda: hub.metric("destination_wal_bytes_total", destination="other") == sum(
        value for _, value in hub.metrics()["walrelay_destination_link_wal_bytes_total"]),
        what="each byte to be of a kind")


def test_a_lane_that_is_lost_goes_on_where_it_was(site, proxy):
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL)
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo())
    load = site.pgbench(primary)
    connections = path.count()
    for cut in range(6):
        seen = edge.log_size()
        path.cut_newest()
        edge.wait_for_log("of the link is opened again", seen)
        wait_until(lambda: path.count() == connections, what="another connection")
        before = edge.received_lsn()
        write_wal(primary, 10)
        wait_until(lambda at=before: edge.received_lsn() > at + (5 << 20), what=f"WAL after {cut}")
    load.stop()
    assert_same_spools(primary, edge)
    assert edge.metric("upstream_reconnects_total") == 0
    assert lanes(edge) == 4


def test_a_lane_that_falls_silent_is_given_up_for_a_new_one(site, proxy):
    """Nothing tells that it is gone but the silence; the others wait for it within their bounds."""
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL, relay={"wal_sender_timeout": "3s"})
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo(), wal_receiver_timeout="3s",
                           wal_receiver_status_interval="500ms")
    load = site.pgbench(primary)
    connections = path.count()
    for silence in range(2):
        seen = edge.log_size()
        path.freeze_newest()
        write_wal(primary, 20)
        edge.wait_for_log("lane . of the link is opened again: no message from the upstream", seen)
        wait_until(lambda: path.count() == connections, what="another connection")
        before = edge.received_lsn()
        write_wal(primary, 10)
        wait_until(lambda at=before: edge.received_lsn() > at + (5 << 20),
                   what=f"WAL after silence {silence}")
    load.stop()
    assert_same_spools(primary, edge)
    wait_until(lambda: hub.log_text().count("due to replication timeout") >= 2,
               what="the hub to notice, too")


def test_a_lane_that_stalls_holds_nobody_up(site, proxy):
    """Long before anybody gives it up. What it brings in the end has come over others."""
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL)
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo())
    edge.wait_received(primary.flush_lsn())
    for _ in range(2):
        seen = edge.log_size()
        # A lane, and not the stream's own connection, which is the first.
        path.freeze_newest()
        write_noise(primary, 40)
        edge.wait_received(primary.flush_lsn())
        path.thaw()
        write_noise(primary, 10)
        edge.wait_received(primary.flush_lsn())
        assert "is opened again" not in edge.log_text()[seen:]
        assert lanes(edge) == 4
    assert_same_spools(primary, edge)
    assert edge.metric("link_upstream_plain_requests_total") == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_to_connections_the_bytes_are_the_same(site, proxy, seed):
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL, relay={"wal_sender_timeout": "3s"})
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo(), wal_receiver_timeout="3s",
                           wal_receiver_status_interval="500ms")
    load = site.pgbench(primary)
    chance = random.Random(seed)
    for _ in range(20):
        write_noise(primary, chance.choice([0, 1, 3]))
        before = edge.received_lsn()
        if path.count() > 0:
            what = chance.choice([path.cut_one, path.cut_one, path.freeze_one, path.flip])
            what(1 if what == path.flip else chance.randrange(path.count()))
        elif path.frozen:
            path.thaw()
        if chance.random() < 0.5:
            wait_until(lambda at=before: edge.received_lsn() > at, what="the stream to go on")
    load.stop()
    path.thaw()
    assert_same_spools(primary, edge)


def test_the_stream_begins_anew_when_its_own_connection_is_lost(site, proxy):
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL)
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo())
    load = site.pgbench(primary)
    for cut in range(3):
        before = edge.received_lsn()
        write_wal(primary, 10)
        path.cut()
        wait_until(lambda n=cut: edge.metric("upstream_reconnects_total") > n, what="a reconnect")
        wait_until(lambda at=before: edge.received_lsn() > at and lanes(edge) == 4,
                   what="the stream and its lanes")
    load.stop()
    assert_same_spools(primary, edge)


def test_who_has_no_lanes_gets_one_stream(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", link={"lanes": 1})
    edge = site.relay(hub, "edge", link={"lanes": 8}, upstream={"start": "oldest"})
    leaf = site.relay(edge, "leaf", link={"lanes": 1}, upstream={"start": "oldest"})
    write_wal(primary, 5)
    assert_same_spools(primary, hub, edge, leaf)
    assert lanes(edge) == 1
    assert lanes(leaf) == 1


def test_flipped_bits_do_no_harm_on_lanes_either(site, proxy):
    primary = site.primary()
    hub = site.relay(primary, "hub", spool=SPOOL)
    path = proxy(hub)
    edge = edge_with_lanes(site, path.conninfo())
    load = site.pgbench(primary)
    for _ in range(5):
        wanted = path.flipped + 1
        path.flip(1)
        wait_until(lambda n=wanted: path.flipped >= n, what="a flip")
        before = edge.received_lsn()
        wait_until(lambda at=before: edge.received_lsn() > at, what="the stream to go on")
    load.stop()
    assert_same_spools(primary, edge)


def test_a_hub_stops_and_starts_under_its_lanes(site):
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub", spool=SPOOL)
    edge = edge_with_lanes(site, hub)
    write_wal(primary, 10)
    edge.wait_flushed(primary.flush_lsn())
    hub.stop()
    hub.start()
    write_wal(primary, 10)
    assert_same_spools(primary, edge)
    wait_until(lambda: lanes(edge) == 4, what="the lanes to be there again")


def test_a_promotion_is_crossed_over_lanes(site):
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    hub = site.relay(second, "hub", spool=SPOOL)
    edge = edge_with_lanes(site, hub)
    write_wal(primary, 20)
    second.catch_up(primary)
    primary.stop()
    second.promote()
    write_wal(second, 20)
    end = second.switch_wal()
    edge.wait_flushed(end)
    compared = assert_same_wal(edge.spool, second.pg_wal, end, second.wal_segment_bytes)
    assert {name[:8] for name in compared} >= {"00000002"}
    wait_until(lambda: lanes(edge) == 4, what="the lanes to be there again")
