"""The upstream is promoted: a new timeline, the same connection, and everybody goes along."""
from support.load import assert_same_rows
from support.replication import command
from support.wait import wait_until
from support.wal import assert_same_wal, segment_name, segments


def follow_a_standby(site):
    primary = site.primary(wal_segsize=1)
    upstream = site.standby(primary, primary, "upstream")
    relay = site.relay(upstream)
    standby = site.standby(primary, relay, "standby")
    archive = site.receivewal(relay)
    load = site.pgbench(primary, seconds=3)
    load.process.wait(60)
    upstream.catch_up(primary)
    standby.catch_up(primary)
    return primary, upstream, relay, standby, archive


def test_everybody_follows_a_promoted_upstream(site):
    primary, upstream, relay, standby, archive = follow_a_standby(site)
    primary.stop()
    upstream.promote()
    load = site.pgbench(upstream, init=False, seconds=3, name="after")
    load.process.wait(60)
    end = upstream.switch_wal()
    relay.wait_flushed(end)
    standby.catch_up(upstream)
    assert_same_rows(upstream, standby)
    assert relay.metric("timeline") == 2
    assert command(relay, "IDENTIFY_SYSTEM")[0][1] == 2
    name, history = command(relay, "TIMELINE_HISTORY 2")[0]
    assert name == "00000002.history"
    held = (upstream.pg_wal / name).read_bytes()
    assert (history if isinstance(history, bytes) else history.encode()) == held
    assert (relay.spool / name).read_bytes() == held
    compared = assert_same_wal(relay.spool, upstream.pg_wal, end, 1 << 20)
    assert compared[-1].startswith("00000002")
    last = segment_name(2, end - 1, 1 << 20)
    wait_until(lambda: last in segments(archive.wal), what="pg_receivewal to follow")
    relay.stop()
    relay.start()
    assert relay.metric("timeline") == 2


def test_a_standby_that_was_away_crosses_the_switch(site):
    primary, upstream, relay, standby, _ = follow_a_standby(site)
    standby.stop()
    primary.pgbench = site.pgbench(primary, init=False, seconds=2, name="unseen")
    primary.pgbench.process.wait(60)
    upstream.catch_up(primary)
    primary.stop()
    upstream.promote()
    upstream.execute("CREATE TABLE after_promotion AS SELECT generate_series(1, 1000) AS a")
    relay.wait_received(upstream.flush_lsn())
    standby.start()
    standby.catch_up(upstream)
    assert_same_rows(upstream, standby)
    assert_same_rows(upstream, standby, ["after_promotion"])


def test_a_standby_behind_the_relay_can_itself_be_promoted(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    standby.promote()
    assert standby.value("SELECT a FROM t") == 1
    assert standby.timeline() == 2 or standby.execute("CHECKPOINT") is None
    assert relay.is_ready() and relay.metric("timeline") == 1
