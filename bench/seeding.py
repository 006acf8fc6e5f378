"""Seeding: from nothing to a standby that follows, for a database of --gigabytes, under load.

Each turn ends when the new standby has replayed what the primary had when it let the first client
in. The snapshot is a copy of the files of a standby between pg_backup_start and pg_backup_stop, in
the place of what a block device or file system takes of itself; its WAL is pinned on the edge first.
pg_basebackup is of the primary, through the edge (and so over the link) and through the hub.
"""
import shutil
import statistics
import time

from support.postgres import Postgres
from support.relay import run_cli
from support.site import Site
from support.wait import wait_until

SCALE_PER_GIGABYTE = 68
PHASES = ("pin", "copy", "start", "follow")


class Clock:
    """Seconds of each phase; those of one turn add up."""

    def __init__(self):
        self.phases, self.since = {}, time.monotonic()

    def lap(self, phase):
        now = time.monotonic()
        self.phases[phase] = now - self.since
        self.since = now


def run_pin(*arguments):
    done = run_cli("pin", *arguments)
    if done.returncode != 0:
        raise RuntimeError(f"walrelay pin: {done.stderr}")


def take_snapshot(server, clock, edge, donor):
    run_pin("add", "snapshot", "--pgdata", donor.data, "--for", "1h", "-d", edge.conninfo())
    clock.lap("pin")
    server.clone(donor)
    clock.lap("copy")


def back_up(server, clock, relay, arguments=()):
    server.basebackup(relay.conninfo(), *arguments, deadline=600)
    clock.lap("copy")


def follow(server, clock, primary, edge):
    server.follow(edge.conninfo(application_name="new"))
    server.start(deadline=300)
    clock.lap("start")
    server.catch_up(primary, deadline=300)
    wait_until(lambda: server.value("SELECT status FROM pg_stat_wal_receiver") == "streaming", 300)
    clock.lap("follow")


def one_turn(site, seed, primary, edge, number):
    server = site.add(Postgres("new", site.directory / f"new{number}", site.bin_dir))
    clock = Clock()
    seed(server, clock)
    follow(server, clock, primary, edge)
    server.kill9()
    shutil.rmtree(server.directory)
    return clock.phases


def prepare(site, gigabytes):
    admin = {"admin_users": "replicator"}
    primary = site.primary()
    spool = {"retain_size": "4GB"}
    hub = site.relay(primary, "hub", relay=admin, spool=spool)
    edge = site.relay(hub, "edge", relay=admin, spool=spool)
    donor = site.standby(primary, edge, "donor")
    site.pgbench(primary, scale=round(gigabytes * SCALE_PER_GIGABYTE), rate=100,
                 seconds=100000)
    # As the usual ones of both would have done, sooner or later.
    primary.execute("CHECKPOINT")
    donor.catch_up(primary, deadline=600)
    donor.execute("CHECKPOINT")
    return primary, hub, edge, donor


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary, hub, edge, donor = prepare(site, arguments.gigabytes)
        ways = {
            "a snapshot": lambda server, clock: take_snapshot(server, clock, edge, donor),
            "pg_basebackup, edge": lambda server, clock: back_up(server, clock, edge),
            "pg_basebackup, hub": lambda server, clock: back_up(server, clock, hub),
        }
        figures = {"database_bytes": primary.value("SELECT pg_database_size('postgres')"),
                   "ways": {name: [] for name in ways}}
        for number in range(arguments.rounds):
            for name, seed in ways.items():
                figures["ways"][name].append(one_turn(site, seed, primary, edge, number))
                if name == "a snapshot":
                    run_pin("drop", "snapshot", "-d", edge.conninfo())
        return figures
    finally:
        site.close()


def table(figures):
    yield f"a database of {figures['database_bytes'] / (1 << 20):.0f} MB; seconds, medians"
    yield f"{'':20} " + " ".join(f"{phase:>7}" for phase in PHASES) + f" {'all':>7} {'longest':>8}"
    for name, turns in figures["ways"].items():
        phases = [statistics.median(turn.get(phase, 0.0) for turn in turns) for phase in PHASES]
        totals = [sum(turn.values()) for turn in turns]
        yield (f"{name:20} " + " ".join(f"{seconds:7.2f}" for seconds in phases)
               + f" {statistics.median(totals):7.2f} {max(totals):8.2f}")
