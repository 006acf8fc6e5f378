"""The main job: standbys and pg_receivewal behind one relay hold what the primary has, byte for
byte, and the primary sees one connection."""
import pytest

from support.load import assert_same_rows
from support.wait import wait_until
from support.wal import assert_same_wal, segment_name, segments


@pytest.mark.parametrize("wal_segsize", [1, 16, 64])
def test_two_standbys_and_an_archive_follow_one_relay(site, wal_segsize):
    primary = site.primary(wal_segsize=wal_segsize)
    relay = site.relay(primary)
    standbys = [site.standby(primary, relay, name) for name in ("standby1", "standby2")]
    archive = site.receivewal(relay)
    load = site.pgbench(primary, seconds=5)

    wait_until(lambda: primary.walsenders() == ["relay"], what="one connection on the primary")
    wait_until(lambda: relay.standby_count() == 3, what="three who follow the relay")
    load.process.wait(60)
    assert primary.walsenders() == ["relay"]

    end = primary.switch_wal()
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)
    relay.wait_flushed(end)
    last = segment_name(1, end - 1, primary.wal_segment_bytes)
    wait_until(lambda: last in segments(archive.wal), what=f"pg_receivewal to complete {last}")

    compared = assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes)
    assert compared[-1] == last
    assert_same_wal(archive.wal, primary.pg_wal, end, primary.wal_segment_bytes)
    relay.stop()


def test_a_commit_is_seen_behind_the_relay_at_once(site):
    """Forwarding waits for nothing: neither a timer nor a sync nor a full buffer."""
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE seen (n int)")
    standby.catch_up(primary)
    for number in range(20):
        primary.execute("INSERT INTO seen VALUES (%s)", number)
        wait_until(lambda n=number: standby.value("SELECT count(*) FROM seen") == n + 1, deadline=8,
                   interval=0.001)


def test_an_idle_relay_keeps_connections_both_ways(site):
    """Timeouts a fifth of the waiting time: only keepalives and replies hold the connections."""
    primary = site.primary(wal_sender_timeout="2s")
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby", wal_receiver_timeout="2s",
                           wal_receiver_status_interval="1s")
    standby.catch_up(primary)

    def who():
        return (primary.value("SELECT pid FROM pg_stat_replication"),
                standby.value("SELECT pid FROM pg_stat_wal_receiver"))
    before = who()
    began = primary.value("SELECT now()")
    wait_until(lambda: primary.value("SELECT now() - %s > interval '10 s'", began), deadline=20)
    assert who() == before
    assert "timeout" not in standby.log_text()
