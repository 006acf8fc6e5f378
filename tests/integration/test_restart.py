"""A restart costs a standby no more than its own retry; an upgrade in place, less than a second."""
import os
import shutil
import signal
import time

import pytest

from support.load import assert_same_rows
from support.relay import binary
from support.wait import wait_until

RETRY_SECONDS = 2


class LongestGap:
    """How long the standby's replay position stood still while the primary was written to."""

    def __init__(self, standby):
        self.standby = standby
        self.position = standby.replay_lsn()
        self.moved = time.monotonic()
        self.seconds = 0.0

    def look(self):
        position, now = self.standby.replay_lsn(), time.monotonic()
        if position != self.position:
            self.seconds = max(self.seconds, now - self.moved)
            self.position, self.moved = position, now

    def watch_until(self, condition, deadline=60):
        def step():
            self.look()
            return condition()
        wait_until(step, deadline, interval=0.01)

    def watch_for(self, seconds):
        end = time.monotonic() + seconds
        self.watch_until(lambda: time.monotonic() > end, seconds + 10)


def streaming(site, **options):
    primary = site.primary()
    relay = site.relay(primary, **options)
    standby = site.standby(primary, relay, "standby",
                           wal_retrieve_retry_interval=f"'{RETRY_SECONDS}s'")
    load = site.pgbench(primary, rate=200)
    standby.catch_up(primary)
    return primary, relay, standby, load


def test_a_cold_restart_costs_one_retry_interval(site):
    primary, relay, standby, load = streaming(site)
    for _ in range(3):
        gap = LongestGap(standby)
        relay.stop()
        relay.start()
        gap.watch_for(RETRY_SECONDS + 2)
        assert gap.seconds < RETRY_SECONDS + 1.5
    load.stop()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)


def relay_pid(relay):
    return int((relay.data_dir / "walrelay.pid").read_text().split()[0])


def test_an_upgrade_in_place_costs_less_than_a_second(site):
    """SIGUSR2 starts the binary that stands at the same path now."""
    shutil.copy(binary(), site.directory / "walrelay")
    primary = site.primary()
    relay = site.relay(primary, start=False)
    relay.start(command=[site.directory / "walrelay", "serve", "-c", relay.config_file])
    standby = site.standby(primary, relay, "standby",
                           wal_retrieve_retry_interval=f"'{RETRY_SECONDS * 5}s'")
    load = site.pgbench(primary, rate=200)
    standby.catch_up(primary)
    for _ in range(3):
        # A new file in its place, as a package upgrade leaves it.
        shutil.copy(binary(), site.directory / "new")
        os.rename(site.directory / "new", site.directory / "walrelay")
        reconnects = standby.value("SELECT pid FROM pg_stat_wal_receiver")
        gap = LongestGap(standby)
        before = relay.log_size()
        relay.send(signal.SIGUSR2)
        # The standby retries at once only when its last retry is an interval ago.
        gap.watch_for(RETRY_SECONDS * 5 + 1)
        gap.watch_until(lambda: relay.is_ready()
                        and standby.value("SELECT status FROM pg_stat_wal_receiver") == "streaming")
        assert standby.value("SELECT pid FROM pg_stat_wal_receiver") != reconnects, \
            relay.log_text(before)
        assert gap.seconds < 1.0, f"{gap.seconds:.2f} s without streaming"
        exe = os.readlink(f"/proc/{relay_pid(relay)}/exe")
        assert exe == str(site.directory / "walrelay"), exe
    load.stop()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    relay.check_log()


def test_an_upgrade_to_a_broken_binary_or_configuration_is_refused(site):
    primary, relay, standby, load = streaming(site)
    relay.configure("relay", listen="nonsense")
    receiver = standby.value("SELECT pid FROM pg_stat_wal_receiver")
    before = relay.log_size()
    relay.send(signal.SIGUSR2)
    relay.wait_for_log("listen", before)
    assert relay.is_ready()
    assert standby.value("SELECT pid FROM pg_stat_wal_receiver") == receiver
    load.stop()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd package")
def test_sockets_of_systemd_are_used(site):
    """The socket lives on in systemd while the relay is away: a client that comes then waits in its
    queue and is served."""
    primary = site.primary()
    relay = site.relay(primary, start=False)
    relay.start(wait=False, command=[
        "systemd-socket-activate", "-l", f"127.0.0.1:{relay.port}",
        "-E", "ASAN_OPTIONS", "-E", "UBSAN_OPTIONS", binary(), "serve", "-c", relay.config_file])
    # The first connection starts it.
    standby = site.standby(primary, primary, "standby", start=False)
    standby.follow(relay.conninfo(application_name="standby")).start(wait=False)
    relay.wait_ready()
    wait_until(standby.is_accepting, 60)
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])
