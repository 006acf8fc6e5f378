"""Stopping, in either direction, takes seconds and loses nothing."""
import time

import pytest

from support.load import assert_same_rows
from support.wait import wait_until

SECONDS = 10


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


@pytest.mark.parametrize("with_standby", [False, True])
def test_a_primary_stops_with_the_relay_attached(site, with_standby):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby") if with_standby else None
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    assert timed(primary.stop) < SECONDS
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
    assert timed(primary.stop) < SECONDS
    load.stop()
    standby.thaw()


def test_the_relay_stops_with_standbys_attached(site):
    primary = site.primary()
    relay = site.relay(primary)
    standbys = [site.standby(primary, relay, name) for name in ("standby1", "standby2")]
    site.receivewal(relay)
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    assert timed(relay.stop) < SECONDS
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
    assert timed(relay.stop) < 2 * SECONDS
    standby.thaw()


def test_standbys_stop_and_come_back(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    assert timed(standby.stop) < SECONDS
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
