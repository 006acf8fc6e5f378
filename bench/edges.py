"""Edges: what 1, 4 and 16 edges at the tip cost the hub, and 16 that join at random points.

A pgbench load of a fixed rate runs; the hub's CPU is counted from when all edges are at the tip until
they hold what was written. An encoding that is shared costs the same for any number of edges; what
remains is sending. The edges that join begin with an empty spool somewhere in what the hub holds,
while the load goes on.
"""
import random
import shutil
import statistics
import time

from catch_up import cpu_seconds
from support.load import pgbench_init
from support.site import Site
from support.wait import wait_until
from support.wal import format_lsn

COUNTS = (1, 4, 16)
SPOOL = {"retain_size": "8GB", "max_size": "16GB"}
RATE = 300


def make_edges(site, hub, count, compression, **upstream):
    """Not yet started; each has a slotless connection, so that none holds the hub's spool."""
    return [site.relay(hub, f"edge{number}", start=False, spool=SPOOL,
                       upstream={"slot": "", **upstream},
                       relay={"sender_threads": 1}, link={"compression": compression})
            for number in range(count)]


def discard(site, edges):
    for edge in edges:
        edge.stop()
        site.processes.remove(edge)
        shutil.rmtree(edge.directory)


def under_load(site, primary, hub, edges, seconds, name):
    """The hub's CPU seconds, and the bytes of WAL it took in meanwhile."""
    load = site.pgbench(primary, init=False, rate=RATE, seconds=seconds, name=name)
    cpu, start, began = cpu_seconds(hub.pid), hub.received_lsn(), time.monotonic()
    yield
    wait_until(lambda: not load.is_running, seconds + 60)
    end = primary.flush_lsn()
    for edge in [hub, *edges]:
        edge.wait_received(end, 300)
    yield {"cpu_s": cpu_seconds(hub.pid) - cpu, "wal_bytes": end - start,
           "wall_s": time.monotonic() - began}


def at_the_tip(site, primary, hub, count, compression, seconds):
    edges = make_edges(site, hub, count, compression)
    for edge in edges:
        edge.start(wait=False)
    for edge in edges:
        edge.wait_received(primary.flush_lsn(), 120)
    run = under_load(site, primary, hub, edges, seconds, f"load_{compression}_{count}")
    next(run)
    figures = next(run)
    discard(site, edges)
    return {"edges": count, "where": "tip", "compression": compression, **figures}


def joining(site, primary, hub, count, compression, oldest, seconds):
    """Each edge begins at a point of its own; the hub reads and encodes for all at once."""
    chance = random.Random(1)
    newest = hub.flushed_lsn()
    edges = []
    for edge in make_edges(site, hub, count, compression):
        edge.configure("upstream", start=format_lsn(chance.randrange(oldest, newest)))
        edges.append(edge)
    run = under_load(site, primary, hub, edges, seconds, f"join_{compression}")
    next(run)
    for edge in edges:
        edge.start(wait=False)
    figures = next(run)
    discard(site, edges)
    return {"edges": count, "where": "joining", "compression": compression, **figures}


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary(max_wal_size="16GB", checkpoint_timeout="30s")
        pgbench_init(primary, scale=20)
        hub = site.relay(primary, "hub", spool=SPOOL)
        oldest = primary.switch_wal()
        hub.wait_flushed(oldest)
        rows = []
        for turn in range(arguments.rounds):
            order = COUNTS if turn % 2 == 0 else COUNTS[::-1]
            rows += [at_the_tip(site, primary, hub, count, compression, arguments.seconds)
                     for count in order for compression in ("none", "zstd")]
        rows += [joining(site, primary, hub, COUNTS[-1], compression, oldest, arguments.seconds)
                 for compression in ("none", "zstd")]
        return rows
    finally:
        site.close()


def table(rows):
    yield f"{'edges':>5} {'where':8} {'link':5} {'WAL MB':>7} {'hub CPU s':>9} {'CPU s/GB of WAL':>15}" \
          "   (medians; CPU of every turn behind)"
    for key in dict.fromkeys((row["edges"], row["where"], row["compression"]) for row in rows):
        turns = [row for row in rows
                 if (row["edges"], row["where"], row["compression"]) == key]
        cpu = statistics.median(row["cpu_s"] for row in turns)
        wal = statistics.median(row["wal_bytes"] for row in turns)
        each = statistics.median(row["cpu_s"] / (row["wal_bytes"] / 1e9) for row in turns)
        yield (f"{key[0]:5} {key[1]:8} {key[2]:5} {wal / 1e6:7.1f} {cpu:9.2f} {each:15.2f}   "
               + " ".join(f"{row['cpu_s']:.2f}" for row in turns))
