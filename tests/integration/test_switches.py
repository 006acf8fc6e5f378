"""Promotions with nothing edited: every relay and standby has the list it had, and goes on. Where the
switch falls, and what is on either side of it, byte for byte."""
import pytest

from support.load import assert_same_rows
from support.replication import Stream, command
from support.wait import holds_for, wait_until
from support.wal import assert_same_wal, assert_spools_hold, parse_lsn, segment_name, segment_start, segments

MB = 1 << 20


def listing(servers, attributes="read-write", user="postgres"):
    """A conninfo of several servers or relays."""
    ports = ",".join(str(server.port) for server in servers)
    hosts = ",".join(["127.0.0.1"] * len(servers))
    more = f" target_session_attrs={attributes}" if attributes else ""
    return f"host={hosts} port={ports} user={user}{more}"


def fork_of(server, timeline):
    """Where the timeline before it ended, as its history file says."""
    text = (server.pg_wal / f"{timeline:08X}.history").read_text()
    return parse_lsn(text.strip().splitlines()[-1].split("\t")[1])


def write(server, table, rows=9999):
    server.execute(f"CREATE TABLE {table} AS SELECT generate_series(1, {rows}) AS a")


def promote(site, old, new):
    """As in a failover: the old one dies first."""
    new.catch_up(old)
    old.kill9()
    new.promote()


# --- nothing is edited ---

def test_two_switches_in_a_row_are_followed_by_all(site):
    """Hub, edge, standbys and pg_receivewal, while they stream and nobody is told anything."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    third = site.standby(primary, primary, "third", start=False)
    third.follow(listing([primary, second], None))
    third.start()
    hub = site.relay(listing([primary, second, third]), "hub")
    edge = site.relay(hub, "edge")
    standby = site.standby(primary, edge, "standby")
    archive = site.receivewal(edge)
    write(primary, "one")
    standby.catch_up(primary)
    third.catch_up(primary)
    promote(site, primary, second)
    write(second, "two")
    standby.catch_up(second)
    promote(site, second, third)
    write(third, "three")
    end = third.switch_wal()
    assert_spools_hold(third, [hub, edge], end)
    standby.catch_up(third)
    assert_same_rows(third, standby, ["one", "two", "three"])
    for relay in (hub, edge):
        assert relay.metric("timeline") == 3
        for timeline in (2, 3):
            name = f"{timeline:08X}.history"
            assert (relay.spool / name).read_bytes() == (third.pg_wal / name).read_bytes()
    last = segment_name(3, end - 1, MB)
    wait_until((archive.wal / last).exists, what="pg_receivewal to follow")
    assert_same_wal(archive.wal, third.pg_wal, end, MB)


@pytest.mark.parametrize("way", ["stopped", "killed"])
def test_a_relay_that_is_down_during_the_switch_goes_on(site, way):
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    hub = site.relay(listing([primary, second]), "hub")
    edge = site.relay(hub, "edge")
    standby = site.standby(primary, edge, "standby")
    write(primary, "one")
    standby.catch_up(primary)
    for relay in (hub, edge):
        relay.stop() if way == "stopped" else relay.kill9()
    write(primary, "unseen")
    promote(site, primary, second)
    write(second, "two")
    hub.start()
    edge.start()
    assert_spools_hold(second, [hub, edge], second.switch_wal())
    standby.catch_up(second)
    assert_same_rows(second, standby, ["one", "unseen", "two"])


def test_an_edge_goes_on_with_another_hub(site):
    """Its hub is gone; the other one was beside it all the time, with a spool of its own."""
    primary = site.primary(wal_segsize=1)
    hubs = [site.relay(primary, name) for name in ("hub1", "hub2")]
    edge = site.relay(listing(hubs, None), "edge")
    standby = site.standby(primary, edge, "standby")
    write(primary, "one")
    standby.catch_up(primary)
    assert hubs[0].standby_count() == 1 and hubs[1].standby_count() == 0
    hubs[0].kill9()
    write(primary, "two")
    standby.catch_up(primary)
    assert_spools_hold(primary, [hubs[1], edge], primary.switch_wal())
    assert_same_rows(primary, standby, ["one", "two"])
    assert "diverged" not in edge.log_text() and "ERROR" not in edge.log_text()


def test_an_edge_goes_on_with_a_standby_that_was_promoted(site):
    """The region of the primary and the hub is gone; a standby near the edge becomes the primary."""
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub")
    near = site.standby(primary, hub, "near")
    edge = site.relay(listing([hub, near]), "edge")
    standby = site.standby(primary, edge, "standby")
    write(primary, "one")
    for each in (near, standby):
        each.catch_up(primary)
    edge.wait_flushed(primary.flush_lsn())
    primary.kill9()
    hub.kill9()
    near.promote()
    write(near, "two")
    standby.catch_up(near)
    assert_spools_hold(near, [edge], near.switch_wal())
    assert_same_rows(near, standby, ["one", "two"])
    assert edge.metric("timeline") == 2


# --- who is followed ---

def split(site):
    """Two that both say they are primary: the old one lives, and another was promoted."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    write(primary, "one")
    second.catch_up(primary)
    return primary, second


def test_of_two_primaries_the_newer_timeline_is_followed(site):
    """Whichever is named first, and however often it is asked anew; the other is logged."""
    primary, second = split(site)
    relays = [site.relay(listing(servers), name) for name, servers in
              (("old_first", [primary, second]), ("new_first", [second, primary]))]
    for relay in relays:
        relay.wait_flushed(primary.flush_lsn())
        relay.stop()
    second.promote()
    write(second, "two")
    primary.execute("CREATE TABLE stray AS SELECT generate_series(1, 99999) AS a")
    end = second.flush_lsn()
    for relay in relays:
        for _ in range(3):
            before = relay.log_size()
            relay.start()
            relay.wait_flushed(end)
            assert relay.metric("timeline") == 2
            relay.wait_for_log(rf"WARNING.*127.0.0.1:{second.port} answers on timeline 2 at "
                               r"\S+: it is tried first", before)
            relay.wait_for_log(rf"WARNING.*127.0.0.1:{primary.port} answers on timeline 1 at",
                               before)
            relay.stop()
        relay.start()
    write(second, "three")
    assert_spools_hold(second, relays, second.switch_wal())
    assert primary.walsenders() == []


def test_a_stale_primary_that_returns_is_passed_over(site):
    """It comes first in the list, it is there before the new one is, and it is not followed."""
    primary, second = split(site)
    relay = site.relay(listing([primary, second]))
    promote(site, primary, second)
    write(second, "two")
    relay.wait_flushed(second.flush_lsn())
    second.stop()
    wait_until(lambda: not relay.is_connected())
    held = command(relay, "IDENTIFY_SYSTEM")[0][1:3]
    primary.start()
    primary.execute("CREATE TABLE stray AS SELECT generate_series(1, 9999) AS a")
    relay.wait_for_log("upstream is on timeline 1, which our timeline 2 has left behind")
    holds_for(lambda: command(relay, "IDENTIFY_SYSTEM")[0][1:3] == held, 2)
    second.start()
    relay.wait_ready()
    write(second, "three")
    assert_spools_hold(second, [relay], second.switch_wal())


def test_two_promoted_to_the_same_timeline(site):
    """Both call it 2. The one that is followed first is kept to; the other is refused for its bytes."""
    primary = site.primary(wal_segsize=1)
    second, third = (site.standby(primary, primary, name) for name in ("second", "third"))
    relay = site.relay(listing([primary, second, third]))
    write(primary, "one")
    for each in (second, third):
        each.catch_up(primary)
    primary.kill9()
    second.promote()
    write(second, "two")
    relay.wait_flushed(second.flush_lsn())
    third.promote()
    write(third, "other")
    before = relay.log_size()
    second.stop()
    relay.wait_for_log(r"(?i)diverged|must be identical|differs from", before, 60)
    assert relay.get("/readyz")[0] == 503
    second.start()
    relay.wait_ready()
    write(second, "three")
    end = second.switch_wal()
    assert_spools_hold(second, [relay], end)


def test_one_that_cannot_be_followed_does_not_hide_one_that_can(site):
    """The first of the list is another cluster, and the second has dropped what comes next."""
    stranger = site.primary("stranger", fresh=True, wal_segsize=1)
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub")
    relay = site.relay(hub, "relay")
    write(primary, "one")
    relay.wait_flushed(primary.flush_lsn())
    relay.configure("upstream", conninfo=listing([stranger, primary], None))
    relay.reload()
    write(primary, "two")
    assert_spools_hold(primary, [relay], primary.switch_wal())
    relay.wait_for_log("(?i)WARNING.*system identifier")
    assert stranger.execute("SELECT slot_name FROM pg_replication_slots") == []


# --- where the switch is ---

def cut_short(site, proxy, place):
    """A relay that has more of the old timeline than the server that is promoted, which ends where
    a segment ends, within one, or where a record begins of which the relay has only a part."""
    primary = site.primary(wal_segsize=1, wal_keep_size="64MB")
    second = site.standby(primary, primary, "second")
    wire = proxy(primary)
    relay = site.relay(f"host=127.0.0.1,127.0.0.1 port={wire.port},{second.port} user=postgres "
                       "target_session_attrs=read-write")
    standby = site.standby(primary, relay, "standby")
    write(primary, "one")
    if place == "boundary":
        primary.switch_wal()
    for each in (second, standby):
        each.catch_up(primary)
    relay.wait_flushed(primary.flush_lsn())
    second.stop()
    fork = primary.flush_lsn()
    if place == "record":
        # One record of some megabytes, most of which never arrives.
        wire.stop_after(300_000)
        primary.execute("SELECT pg_logical_emit_message(false, 'x', repeat('y', 3000000))")
        wait_until(lambda: relay.received_lsn() > fork + 100_000)
        holds_for(lambda: relay.received_lsn() < fork + MB, 1)
    primary.kill9()
    wire.close()
    second.start()
    second.promote()
    return primary, second, relay, standby, fork


@pytest.mark.parametrize("place", ["boundary", "segment", "record"])
def test_the_switch_point_is_honoured_byte_for_byte(site, proxy, place):
    primary, second, relay, standby, at_most = cut_short(site, proxy, place)
    write(second, "two")
    end = second.switch_wal()
    relay.wait_flushed(end)
    fork = fork_of(second, 2)
    assert fork <= at_most + 100 and (fork % MB == 0) == (place == "boundary")
    standby.catch_up(second)
    assert_same_rows(second, standby, ["one", "two"])
    assert relay.status()["spool"]["lost_bytes"] in (0, None), "no commit was acknowledged past it"
    for name in segments(relay.spool):
        if segment_start(name, MB) + MB <= end and name != segment_name(1, fork, MB):
            assert (relay.spool / name).read_bytes() == (second.pg_wal / name).read_bytes(), name

    # What is asked for on the old timeline ends at the fork, and what is asked for on the new one
    # is the new server's, from the start of the segment that both share.
    start = fork // MB * MB if fork % MB else fork - MB
    with_old = Stream(relay.conninfo()).start(start, timeline=1)
    assert with_old.receive_wal(start, fork) == \
        (second.pg_wal / segment_name(1, start, MB)).read_bytes()[:fork - start] or fork == start
    with pytest.raises(ConnectionError):
        while True:
            message = with_old.receive(10)
            assert message is None or message[0] == "k", "WAL past the fork"
    with_old.close()
    begin = fork // MB * MB
    with_new = Stream(relay.conninfo()).start(begin, timeline=2)
    expected = (second.pg_wal / segment_name(2, begin, MB)).read_bytes()
    assert with_new.receive_wal(begin, begin + MB)[:MB] == expected
    with_new.close()
    # The old timeline's own file is kept as it was, under its own name.
    old = relay.spool / segment_name(1, fork, MB)
    if place == "record":
        kept = old.read_bytes()
        assert kept[fork % MB:fork % MB + 1000] != expected[fork % MB:fork % MB + 1000]
        assert kept[:200_000 % MB] == (primary.pg_wal / old.name).read_bytes()[:200_000 % MB]
