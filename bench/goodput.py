"""Goodput: the same WAL over 80 ms, 50 Mbit/s and 0.1 % loss, to each kind of receiver, bbr and cubic.

The WAL is pgbench's. Its first part is what a relay at the far end already holds when the clock
starts; the second part is carried by all in turns: straight from the primary to pg_receivewal and to
a stock standby, and from hub to edge, plain and over the link. The clock runs from the start of the
receiver until it has everything; the bytes are counted on the path. The link has one lane, and eight,
whatever the congestion control.
"""
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from support import wan
from support.load import pgbench_init
from support.site import Site
from support.wait import wait_until
from support.wal import format_lsn, parse_lsn, segment_name

CONGESTIONS = ("bbr", "cubic")
EDGES = {"relay plain": {"compression": "none"}, "link, 1 lane": {"lanes": 1},
         "link, 8 lanes": {"lanes": 8}}
HELD_MEGABYTES = 192
SPOOL = {"retain_size": "8GB", "max_size": "16GB"}
FAST = {"rtt_ms": 2, "rate_bits": 2_000_000_000, "loss_per_million": 0}


def run_pgbench(primary, megabytes):
    start = primary.insert_lsn()
    while primary.insert_lsn() - start < megabytes << 20:
        subprocess.run([primary.bin_dir / "pgbench", "-n", "-c", "4", "-T", "5",
                        primary.conninfo(dbname="postgres")], check=True, capture_output=True)


class Ground:
    """A primary, a hub, and for each receiver what it holds when the clock starts."""

    def __init__(self, site, megabytes):
        self.site, self.turn = site, 0
        self.path = wan.Wan(site.directory / "fast", **FAST).start()
        self.primary = site.primary(listen_addresses="'*'", max_wal_size="16GB",
                                    checkpoint_timeout="1h", wal_keep_size="8GB")
        self.path.admit(self.primary)
        pgbench_init(self.primary, scale=20)
        self.hub = site.relay(self.primary, "hub", start=False, spool=SPOOL)
        for congestion in CONGESTIONS:
            self.path_of(congestion).admit(self.hub)
        # The route chooses, for both ends alike; a path of the project's own choice would be bbr.
        self.hub.configure("link", congestion="").start()
        self.edges = {name: self.edge(f"edge{number}", link)
                      for number, (name, link) in enumerate(EDGES.items())}
        self.primary.execute("CHECKPOINT")
        run_pgbench(self.primary, HELD_MEGABYTES)
        self.primary.execute("CHECKPOINT")
        self.start = self.primary.switch_wal()
        self.standby = site.standby(self.primary, self.primary, "standby", start=False)
        for edge in self.edges.values():
            edge.wait_flushed(self.start, 300)
            edge.stop()
            shutil.copytree(edge.data_dir, f"{edge.data_dir}.held")
        shutil.copytree(self.standby.data, f"{self.standby.data}.held")
        self.path.terminate()
        run_pgbench(self.primary, megabytes)
        self.end = self.primary.switch_wal()
        self.hub.wait_flushed(self.end, 300)

    def path_of(self, congestion, **figures):
        name = f"{congestion}{self.turn}"
        self.turn += 1
        return wan.Wan(self.site.directory / name, congestion, **figures)

    def edge(self, name, link):
        return self.site.relay(self.path.conninfo(self.hub, application_name="edge"), name,
                               spool=SPOOL, upstream={"slot": ""}, link=link)

    # Each: starts, waits until it has everything, ends.

    def to_receivewal(self, path):
        memory = Path(tempfile.mkdtemp(prefix="walrelay-bench.", dir="/dev/shm"))
        try:
            # A complete segment (its size is all that counts) makes pg_receivewal go on after it.
            with open(memory / segment_name(1, self.start - 1, 16 << 20), "wb") as file:
                file.truncate(16 << 20)
            subprocess.run([self.site.client_bin / "pg_receivewal", "-D", memory, "--no-sync",
                            "--no-loop", "-E", format_lsn(self.end), "-d",
                            path.conninfo(self.primary)], check=True, capture_output=True)
        finally:
            shutil.rmtree(memory)

    def to_standby(self, path):
        shutil.rmtree(self.standby.data)
        shutil.copytree(f"{self.standby.data}.held", self.standby.data)
        self.standby.follow(path.conninfo(self.primary, application_name="standby"))
        self.standby.start()
        wait_until(lambda: parse_lsn(self.standby.value(
            "SELECT coalesce(pg_last_wal_receive_lsn(), '0/0')::text")) >= self.end, 900)
        self.standby.stop("immediate")

    def to_edge(self, name, path):
        edge = self.edges[name]
        shutil.rmtree(edge.data_dir)
        shutil.copytree(f"{edge.data_dir}.held", edge.data_dir)
        edge.configure("upstream", conninfo=path.conninfo(self.hub, application_name="edge"))
        edge.start(wait=False)
        wait_until(lambda: edge.received_lsn() >= self.end, 900)
        lanes = int(edge.metric("link_upstream_lanes") or 1)
        edge.stop()
        return lanes

    def measure(self, name, congestion):
        path = self.path_of(congestion).start()
        began, lanes = time.monotonic(), 1
        if name == "pg_receivewal":
            self.to_receivewal(path)
        elif name == "standby":
            self.to_standby(path)
        else:
            lanes = self.to_edge(name, path)
        wall = time.monotonic() - began
        outward = path.outward()
        path.terminate()
        return {"receiver": name, "congestion": congestion, "wall_s": wall, "lanes": lanes,
                "wal_bytes": self.end - self.start, "wire_bytes": outward.sent_bytes,
                "homeward_bytes": path.homeward().sent_bytes}


def measure(arguments):
    if not wan.is_available():
        raise SystemExit("goodput needs root, for a network namespace with a WAN")
    site = Site(prefix="walrelay-bench.")
    try:
        ground = Ground(site, arguments.wan_megabytes)
        names = ["pg_receivewal", "standby", *ground.edges]
        return [ground.measure(name, congestion)
                for turn in range(arguments.rounds) for congestion in CONGESTIONS
                for name in names[turn % 5:] + names[:turn % 5]]
    finally:
        site.close()


def table(figures):
    yield f"{'path':6} {'receiver':14} {'lanes':>5} {'WAL MB/s':>9} {'Mbit/s':>7} {'wire MB':>8} " \
          f"{'WAL/wire':>8}   (medians; every turn's MB/s behind)"
    for congestion in CONGESTIONS:
        for name in dict.fromkeys(row["receiver"] for row in figures):
            rows = [row for row in figures
                    if row["receiver"] == name and row["congestion"] == congestion]
            rates = [row["wal_bytes"] / row["wall_s"] / 1e6 for row in rows]
            wire = statistics.median(row["wire_bytes"] for row in rows)
            speed = statistics.median(row["wire_bytes"] * 8 / row["wall_s"] / 1e6 for row in rows)
            lanes = max(row["lanes"] for row in rows)
            yield (f"{congestion:6} {name:14} {lanes:5} {statistics.median(rates):9.2f} "
                   f"{speed:7.1f} "
                   f"{wire / 1e6:8.1f} {rows[0]['wal_bytes'] / wire:8.2f}   "
                   + " ".join(f"{rate:.2f}" for rate in rates))
