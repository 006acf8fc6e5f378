"""Stopping, in either direction, takes seconds and loses nothing."""
import threading

import psycopg
import pytest

from support.load import assert_same_rows
from support.wait import wait_until
from support.wal import parse_lsn

# By then, or the test fails: less than any timeout of a replication connection.
SECONDS = 30


@pytest.mark.parametrize("with_standby", [False, True])
def test_a_primary_stops_with_the_relay_attached(site, with_standby):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby") if with_standby else None
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    primary.stop(deadline=SECONDS)
    load.stop()
    # The shutdown checkpoint is the last record, and the relay has it.
    wait_until(lambda: not relay.is_connected())
    primary.start()
    relay.wait_ready()
    if standby:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)


def test_a_primary_stops_although_a_standby_behind_the_relay_stands_still(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    standby.disconnect()
    standby.freeze()
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    primary.stop(deadline=SECONDS)
    load.stop()
    standby.thaw()


def write_one_record(primary, megabytes):
    """Until it is there, or the primary is not."""
    try:
        with primary.connect() as connection:
            connection.execute("SELECT pg_logical_emit_message(true, 'x', repeat('y', %s))",
                               (megabytes << 20,))
    except psycopg.OperationalError:
        pass


def received(standby):
    return parse_lsn(standby.value("SELECT pg_last_wal_receive_lsn()::text"))


def test_a_standby_that_the_relay_follows_stops_within_a_record(site):
    primary = site.primary()
    middle = site.standby(primary, primary, "middle")
    relay = site.relay(middle)
    writer = threading.Thread(target=write_one_record, args=(primary, 500))
    writer.start()
    # Making a record of this size takes the primary a while before it sends any of it.
    wait_until(lambda: received(middle) - middle.replay_lsn() > 20 << 20, 180, interval=0.005)
    primary.kill9()
    writer.join()
    # The rest of the record never comes: the relay has more than it can ever confirm.
    wait_until(lambda: middle.value("SELECT count(*) FROM pg_stat_wal_receiver") == 0)
    end = received(middle)
    relay.wait_received(end)
    assert relay.flushed_lsn() < end
    middle.stop(deadline=SECONDS)


def test_the_relay_stops_with_standbys_attached(site):
    primary = site.primary()
    relay = site.relay(primary)
    standbys = [site.standby(primary, relay, name) for name in ("standby1", "standby2")]
    site.receivewal(relay)
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    relay.stop(deadline=SECONDS)
    load.stop()
    for standby in standbys:
        standby.wait_for_log("replication terminated by primary server")
    assert not primary.walsenders()
    # A clean stop leaves nothing to prove: it starts at what it had.
    relay.start()
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)


def test_the_relay_stops_although_a_standby_stands_still(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    standby.disconnect()
    standby.freeze()
    relay.stop(deadline=SECONDS)
    standby.thaw()


def test_standbys_stop_and_come_back(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    standby.stop(deadline=SECONDS)
    wait_until(lambda: relay.standby_count() == 0)
    primary.switch_wal()
    standby.start()
    standby.catch_up(primary)


def test_a_second_relay_on_the_same_data_directory_is_refused(site):
    primary = site.primary()
    relay = site.relay(primary)
    second = site.relay(primary, "second", start=False)
    second.data_dir = relay.data_dir
    second.configure("relay", data_dir=relay.data_dir).start(wait=False)
    assert second.process.wait(10) == 2
    assert "walrelay.pid" in second.log_text()
    assert relay.is_ready()
