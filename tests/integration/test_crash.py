"""kill -9 of each part under load: everybody resumes alone, nothing is missing, nothing differs."""
import random

from support.load import assert_same_rows
from support.wait import wait_until
from support.wal import assert_same_wal, segment_name, segments

KILLS = 20


def finish(primary, relay, standbys, archive=None):
    end = primary.switch_wal()
    relay.wait_flushed(end)
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)
    assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes)
    if archive:
        last = segment_name(primary.timeline(), end - 1, primary.wal_segment_bytes)
        wait_until(lambda: last in segments(archive.wal), what=f"pg_receivewal to complete {last}")
        assert_same_wal(archive.wal, primary.pg_wal, end, primary.wal_segment_bytes)


def test_relay_killed_twenty_times(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, spool={"retain_size": "2GB"})
    standbys = [site.standby(primary, relay, name) for name in ("standby1", "standby2")]
    archive = site.receivewal(relay)
    load = site.pgbench(primary)
    for _ in range(KILLS):
        # Ever different points: somewhere in the next part of a segment.
        relay.wait_received(primary.flush_lsn() + random.randrange(1 << 18))
        # What it told the primary to be safe must be there after the crash.
        acknowledged = primary.value(
            "SELECT flush_lsn - '0/0' FROM pg_stat_replication WHERE application_name = 'relay'")
        relay.kill9()
        relay.start()
        assert relay.flushed_lsn() >= acknowledged
    load.stop()
    finish(primary, relay, standbys, archive)
    assert primary.walsenders() == ["relay"]
    relay.stop()


def test_standby_killed(site):
    primary = site.primary()
    relay = site.relay(primary)
    victim = site.standby(primary, relay, "victim")
    other = site.standby(primary, relay, "other")
    load = site.pgbench(primary)
    for _ in range(3):
        relay.wait_received(primary.flush_lsn() + (1 << 20))
        victim.kill9()
        victim.start()
    load.stop()
    finish(primary, relay, [victim, other])


def test_primary_killed(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    for number in range(3):
        load = site.pgbench(primary, init=number == 0, name=f"pgbench{number}")
        relay.wait_received(primary.flush_lsn() + (1 << 20))
        primary.kill9()
        load.stop()
        wait_until(lambda: not relay.is_connected(), what="the relay to notice")
        assert relay.get("/readyz")[0] == 503
        # Serving goes on: a standby that comes now is let in and kept.
        standby.restart()
        wait_until(lambda: relay.standby_count() == 1, what="the standby to be served")
        primary.start()
        relay.wait_ready()
    finish(primary, relay, [standby])
