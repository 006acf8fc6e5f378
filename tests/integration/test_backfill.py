"""WAL from before what a relay holds comes from its upstream when a standby asks for it."""
import re
import shutil

from support.load import assert_same_rows
from support.replication import command
from support.wait import wait_until
from support.wal import assert_same_wal, format_lsn, segment_name, segment_start, segments

MB = 1 << 20
ROWS = "SELECT generate_series(1, 20000) AS a, 'some text to fill segments' AS b"


def old_clone(site, primary, name="standby"):
    """Data of now, not started."""
    standby = site.standby(primary, primary, name, start=False)
    return standby


def write(primary, table):
    primary.execute(f"CREATE TABLE {table} AS {ROWS}")
    return primary.switch_wal()


def edge_end(edge):
    """Of what a relay that is stopped holds in whole segments."""
    return segment_start(segments(edge.spool)[-1], MB)


def follow(standby, relay, wait=True):
    standby.follow(relay.conninfo(application_name=standby.name))
    standby.start(wait)


def asked_segments(server):
    """Where streams of single segments began, as the server logged them."""
    return re.findall(r"LOG: .*START_REPLICATION PHYSICAL (\S+) TIMELINE", server.log_text())


def test_older_wal_is_fetched_once_for_all_who_ask(site):
    primary = site.primary(wal_segsize=1)
    standbys = [old_clone(site, primary, name) for name in ("one", "two")]
    begin = primary.flush_lsn() // MB * MB
    write(primary, "a")
    write(primary, "b")
    primary.execute("CHECKPOINT")
    relay = site.relay(primary, upstream={"start": "redo"})
    held = int(relay.metric("spool_oldest_lsn_bytes"))
    assert held > begin + 2 * MB
    for standby in standbys:
        follow(standby, relay)
    write(primary, "c")
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby, ["a", "b", "c"])
    asked = asked_segments(primary)
    assert asked and len(asked) == len(set(asked)), asked
    assert int(relay.metric("spool_oldest_lsn_bytes")) <= begin
    end = primary.switch_wal()
    relay.wait_flushed(end)
    assert_same_wal(relay.spool, primary.pg_wal, end, MB)

    relay.stop()
    before = len(asked)
    relay.start()
    assert int(relay.metric("spool_oldest_lsn_bytes")) <= begin
    third = site.standby(primary, relay, "third")
    third.catch_up(primary)
    assert len(asked_segments(primary)) == before


def test_an_edge_gets_it_through_its_hub(site):
    """Neither of the two holds it."""
    primary = site.primary(wal_segsize=1)
    standby = old_clone(site, primary)
    write(primary, "a")
    primary.execute("CHECKPOINT")
    hub = site.relay(primary, "hub")
    edge = site.relay(hub, "edge")
    follow(standby, edge)
    write(primary, "b")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["a", "b"])
    edge.wait_for_log("came from the upstream")
    hub.wait_for_log("came from the upstream")


def behind_a_link(edge):
    return edge.status()["upstream_link"] is not None


def test_edges_that_begin_before_their_hub_get_it_once(site):
    """Over the link: what relays ask for is fetched as for standbys, and shared."""
    primary = site.primary(wal_segsize=1)
    begin = primary.flush_lsn() // MB * MB
    for table in "abc":
        write(primary, table)
    primary.execute("CHECKPOINT")
    hub = site.relay(primary, "hub", spool={"retain_size": "2GB"})
    assert int(hub.metric("spool_oldest_lsn_bytes")) > begin + 2 * MB
    edges = [site.relay(hub, name, upstream={"start": format_lsn(begin)},
                        spool={"retain_size": "2GB"}) for name in ("one", "two")]
    end = write(primary, "d")
    for edge in edges:
        edge.wait_flushed(end)
        assert behind_a_link(edge)
        assert edge.metric("spool_oldest_lsn_bytes") == begin
    for relay in (hub, *edges):
        names = assert_same_wal(relay.spool, primary.pg_wal, end, MB)
        assert names[0] == segment_name(1, begin, MB)
    asked = asked_segments(primary)
    assert len(asked) == len(set(asked)), asked


def test_an_edge_goes_on_behind_a_hub_whose_spool_was_lost(site):
    """The edge was away too, and is further behind than where the new spool begins."""
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub")
    edge = site.relay(hub, "edge")
    standby = site.standby(primary, edge, "standby")
    edge.wait_flushed(write(primary, "a"))
    edge.stop()
    hub.kill9()
    shutil.rmtree(hub.data_dir)
    for table in "bcd":
        write(primary, table)
    primary.execute("CHECKPOINT")
    hub.start()
    assert int(hub.metric("spool_oldest_lsn_bytes")) > edge_end(edge)
    edge.start()
    end = write(primary, "e")
    edge.wait_flushed(end)
    hub.wait_for_log("came from the upstream")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["a", "b", "c", "d", "e"])
    assert_same_wal(edge.spool, primary.pg_wal, end, MB)


def test_what_the_upstream_has_no_longer_is_refused_as_ever(site):
    primary = site.primary(wal_segsize=1, wal_keep_size="0", min_wal_size="2MB")
    standby = old_clone(site, primary)
    for table in ("a", "b"):
        write(primary, table)
        primary.execute("CHECKPOINT")
    relay = site.relay(primary)
    follow(standby, relay, wait=False)
    standby.wait_for_log("requested WAL segment 0000000100000000000000.. has already been removed")
    relay.wait_for_log("is wanted and cannot be had from the upstream: "
                       "the server says: requested WAL segment")
    assert relay.get("/readyz")[0] == 200
    primary.execute("CREATE TABLE c AS SELECT 1 AS a")
    relay.wait_flushed(primary.flush_lsn())


def test_it_waits_for_an_upstream_that_is_away(site):
    primary = site.primary(wal_segsize=1)
    standby = old_clone(site, primary)
    write(primary, "a")
    primary.execute("CHECKPOINT")
    relay = site.relay(primary)
    relay.wait_flushed(primary.flush_lsn())
    primary.stop()
    follow(standby, relay, wait=False)
    relay.wait_for_log("is wanted and not held")
    primary.start()
    wait_until(standby.is_accepting, 60, "the standby to accept connections")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["a"])


def test_older_timelines_too(site):
    """The relay began on timeline 2; the standby is of timeline 1."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    standby = old_clone(site, primary)
    write(primary, "a")
    second.catch_up(primary)
    primary.stop()
    second.promote()
    write(second, "b")
    second.execute("CHECKPOINT")
    relay = site.relay(second)
    follow(standby, relay)
    write(second, "c")
    standby.catch_up(second)
    assert_same_rows(second, standby, ["a", "b", "c"])
    assert command(relay, "IDENTIFY_SYSTEM")[0][1] == 2


def test_it_keeps_to_max_size(site):
    """What would not fit is not fetched, and the stream goes on."""
    primary = site.primary(wal_segsize=1)
    standby = old_clone(site, primary)
    for table in "abcdefgh":
        write(primary, table)
    primary.execute("CHECKPOINT")
    relay = site.relay(primary, spool={"retain_size": "1MB", "max_size": "6MB", "min_free": "1MB"})
    follow(standby, relay, wait=False)
    standby.wait_for_log("has already been removed")
    assert asked_segments(primary) == []
    write(primary, "i")
    wait_until(lambda: relay.flushed_lsn() >= primary.flush_lsn(), 60, "the relay to go on")
    assert relay.metric("spool_bytes") <= 6 * MB
