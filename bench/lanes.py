"""Lanes: hub to edge over 80 ms, 50 Mbit/s and 0.1 % loss, by the number of connections, bbr and cubic.

The WAL is of random texts, so that what the link sends is large. The clock runs from the start of an
edge with an empty spool until it has everything; the bytes are counted on the path.
"""
import shutil
import statistics
import time

from goodput import CONGESTIONS, SPOOL
from support import wan
from support.load import write_noise
from support.site import Site
from support.wait import wait_until

LANES = ("1", "4", "8", "auto")


def measure_one(site, hub, start, end, congestion, lanes):
    path = wan.Wan(site.directory / f"path_{congestion}_{lanes}_{time.monotonic_ns()}",
                   congestion).start()
    edge = site.relay(path.conninfo(hub, application_name="edge"), f"edge_{congestion}_{lanes}",
                      start=False, spool=SPOOL, upstream={"slot": "", "start": "oldest"},
                      link={"lanes": lanes})
    began = time.monotonic()
    edge.start(wait=False)
    wait_until(lambda: edge.received_lsn() >= end, 900)
    wall = time.monotonic() - began
    opened = int(edge.metric("link_upstream_lanes"))
    edge.stop()
    site.processes.remove(edge)
    shutil.rmtree(edge.directory)
    outward = path.outward()
    path.terminate()
    return {"congestion": congestion, "lanes": lanes, "opened": opened, "wall_s": wall,
            "wal_bytes": end - start, "wire_bytes": outward.sent_bytes}


def measure(arguments):
    if not wan.is_available():
        raise SystemExit("lanes needs root, for a network namespace with a WAN")
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary(max_wal_size="16GB")
        hub = site.relay(primary, "hub", start=False, spool=SPOOL)
        for congestion in CONGESTIONS:
            wan.Wan(site.directory / f"names_{congestion}", congestion).admit(hub)
        hub.configure("link", congestion="").start()
        write_noise(primary, arguments.wan_megabytes)
        end = primary.switch_wal()
        hub.wait_flushed(end, 300)
        start = int(hub.metric("spool_oldest_lsn_bytes"))
        return [measure_one(site, hub, start, end, congestion, lanes)
                for turn in range(arguments.rounds) for congestion in CONGESTIONS
                for lanes in LANES[turn % 4:] + LANES[:turn % 4]]
    finally:
        site.close()


def table(figures):
    yield f"{'path':6} {'lanes':>5} {'opened':>6} {'WAL MB/s':>9} {'Mbit/s':>7} {'wire MB':>8}" \
          "   (medians; every turn's Mbit/s behind)"
    for congestion in CONGESTIONS:
        for lanes in LANES:
            rows = [row for row in figures
                    if row["congestion"] == congestion and row["lanes"] == lanes]
            speeds = [row["wire_bytes"] * 8 / row["wall_s"] / 1e6 for row in rows]
            rate = statistics.median(row["wal_bytes"] / row["wall_s"] / 1e6 for row in rows)
            yield (f"{congestion:6} {lanes:>5} {rows[-1]['opened']:6} {rate:9.2f} "
                   f"{statistics.median(speeds):7.1f} "
                   f"{statistics.median(row['wire_bytes'] for row in rows) / 1e6:8.1f}   "
                   + " ".join(f"{speed:.1f}" for speed in speeds))
