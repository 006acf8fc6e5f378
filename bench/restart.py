"""Restart: how long a standby stands still when what it follows is started anew, under load.

The relay upgraded in place (SIGUSR2), the relay stopped and started, and a cascading standby stopped
and started, in turns. The standby has PostgreSQL's default wal_retrieve_retry_interval of 5 s: it
tries again at once when its last try is longer ago than that, which each turn waits for.
"""
import signal
import statistics
import time

from support.site import Site
from support.wait import wait_until

RETRY_SECONDS = 5


class Stillness:
    """The longest time for which a standby's replay position stood still."""

    def __init__(self, standby):
        self.standby = standby
        self.position, self.moved, self.longest = standby.replay_lsn(), time.monotonic(), 0.0

    def look(self):
        position, now = self.standby.replay_lsn(), time.monotonic()
        if position != self.position:
            self.longest = max(self.longest, now - self.moved)
            self.position, self.moved = position, now

    def watch(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.005)


def upgrade(relay):
    relay.send(signal.SIGUSR2)


def restart_relay(relay):
    relay.stop()
    relay.start(wait=False)


def restart_server(server):
    server.stop()
    server.start(wait=False)


def one_turn(standby, server, act):
    wait_until(lambda: standby.value("SELECT status FROM pg_stat_wal_receiver") == "streaming")
    still = Stillness(standby)
    still.watch(RETRY_SECONDS + 1)
    usual, still.longest = still.longest, 0.0
    act(server)
    still.watch(RETRY_SECONDS * 2)
    wait_until(lambda: still.look() or standby.replay_lsn() != still.position, 60)
    still.look()
    return {"usual_ms": usual * 1000, "still_ms": still.longest * 1000}


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary()
        relay = site.relay(primary)
        cascade = site.standby(primary, primary, "cascade")
        interval = f"'{RETRY_SECONDS}s'"
        relayed = site.standby(primary, relay, "relayed", wal_retrieve_retry_interval=interval)
        cascaded = site.standby(primary, cascade, "cascaded", wal_retrieve_retry_interval=interval)
        turns = {"relay upgraded in place": (relayed, relay, upgrade),
                 "relay restarted": (relayed, relay, restart_relay),
                 "cascading standby restarted": (cascaded, cascade, restart_server)}
        site.pgbench(primary, rate=300, seconds=100000)
        figures = {name: [] for name in turns}
        for _ in range(arguments.rounds):
            for name, turn in turns.items():
                figures[name].append(one_turn(*turn))
        return figures
    finally:
        site.close()


def table(figures):
    yield f"{'':28} {'stands still, ms (median)':>26} {'longest':>8} {'longest without':>16}"
    for name, turns in figures.items():
        still = [turn["still_ms"] for turn in turns]
        yield (f"{name:28} {statistics.median(still):26.0f} {max(still):8.0f} "
               f"{max(turn['usual_ms'] for turn in turns):16.0f}")
