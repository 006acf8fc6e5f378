"""Latency: from the return of a commit to its row being visible on a standby: direct, cascaded, relayed.

Also with two in between: standbys, or a hub and an edge.
One path runs at a time, in turns, so that no other replay competes for the processors.
"""
import os
import statistics
import subprocess
from pathlib import Path

from support.site import Site

WARM_UP = 200


def paths(site, primary, fsync):
    """The servers of each path, to be started in this order; the last is the standby asked."""
    def standby(upstream, name):
        return site.standby(primary, upstream, name, start=False, fsync=fsync)
    relay, hub = site.relay(primary), site.relay(primary, "hub")
    edge = site.relay(hub, "edge")
    cascade = standby(primary, "cascade")
    second = standby(cascade, "second")
    each = {
        "direct": [standby(primary, "direct")],
        "cascade": [cascade, standby(cascade, "cascaded")],
        "cascade of two": [cascade, second, standby(second, "cascaded_twice")],
        "relay": [relay, standby(relay, "relayed")],
        "hub and edge": [hub, edge, standby(edge, "behind_edge")],
    }
    for server in (edge, hub, relay):
        server.stop()
    return each


def run_turn(primary, servers, first, count):
    for server in servers:
        server.start()
    servers[-1].catch_up(primary)
    tool = Path(os.environ["WALRELAY_BENCH_TOOLS"]) / "commit_latency"
    done = subprocess.run(
        [tool, primary.conninfo(dbname="postgres"), servers[-1].conninfo(dbname="postgres"),
         str(first), str(WARM_UP + count)], capture_output=True, text=True, check=True, timeout=600)
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()][WARM_UP:]
    for server in reversed(servers):
        server.stop()
    return [seen / 1000 for _, seen in rows]


def measure_with(fsync, arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary(fsync=fsync)
        primary.execute("CREATE TABLE latency (n int PRIMARY KEY)")
        each = paths(site, primary, fsync)
        first, figures = 0, {name: [] for name in each}
        for _ in range(arguments.rounds):
            for name, servers in each.items():
                figures[name].append(run_turn(primary, servers, first, arguments.commits))
                first += WARM_UP + arguments.commits
        return figures
    finally:
        site.close()


def summary(turns):
    everything = sorted(value for turn in turns for value in turn)
    return {
        "median_us": statistics.median(everything),
        "p90_us": everything[int(len(everything) * 0.9)],
        "p99_us": everything[int(len(everything) * 0.99)],
        "medians_us": [statistics.median(turn) for turn in turns],
    }


def measure(arguments):
    return {f"fsync {fsync}": {name: summary(turns)
                               for name, turns in measure_with(fsync, arguments).items()}
            for fsync in ("off", "on")}


def table(results):
    yield f"{'':10} {'path':14} {'median us':>10} {'p90':>8} {'p99':>8} {'added':>8}   medians of turns"
    for fsync, figures in results.items():
        base = figures["direct"]["median_us"]
        for name, row in figures.items():
            turns = " ".join(f"{value:.0f}" for value in row["medians_us"])
            yield (f"{fsync:10} {name:14} {row['median_us']:10.0f} {row['p90_us']:8.0f} "
                   f"{row['p99_us']:8.0f} {row['median_us'] - base:8.0f}   {turns}")
