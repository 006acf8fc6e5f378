"""Catch-up: the same WAL to 1, 4 and 16 pg_receivewal, from the primary, a cascading standby, the relay.

The receivers write to memory without syncing. Server CPU is that of the serving process and all its
children, user and system. Every round takes all sources in turn, each round from another start.
"""
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from support.load import write_wal
from support.process import children_of
from support.site import Site
from support.wait import wait_until
from support.wal import format_lsn, segment_name

RECEIVERS = (1, 4, 16)
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process, its living children and those it has buried."""
    while True:
        children, total = children_of(pid), 0
        try:
            for each in [pid, *children]:
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, fields[11:15 if each == pid else 13]))
        except FileNotFoundError:
            continue
        # One that ended meanwhile would be counted twice, or not at all.
        if children_of(pid) == children:
            return total / TICKS


def receive(site, source, count, start, end, segment_bytes, **connection):
    """Wall and server CPU seconds until that many receivers have everything from start to end."""
    memory = Path(tempfile.mkdtemp(prefix="walrelay-bench.", dir="/dev/shm"))
    try:
        commands = []
        for number in range(count):
            target = memory / str(number)
            target.mkdir()
            # A complete segment (its size is all that counts) makes pg_receivewal go on after it.
            before = target / segment_name(1, start - 1, segment_bytes)
            with open(before, "wb") as file:
                file.truncate(segment_bytes)
            commands.append([site.client_bin / "pg_receivewal", "-D", target, "--no-sync",
                             "--no-loop", "-E", format_lsn(end), "-d",
                             source.conninfo(application_name=f"receiver{number}", **connection)])
        cpu, began = cpu_seconds(source.pid), time.monotonic()
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                   for command in commands]
        for process in running:
            _, said = process.communicate(timeout=600)
            if process.returncode != 0:
                raise RuntimeError(f"pg_receivewal from {source.name}: {said.decode()}")
        wall = time.monotonic() - began
        wait_until(lambda: served_by(source) == 0, what="the last connection to be gone")
        return wall, cpu_seconds(source.pid) - cpu
    finally:
        shutil.rmtree(memory)


def served_by(source):
    if hasattr(source, "standby_count"):
        return source.standby_count()
    return sum(name == "pg_receivewal" for name in source.walsenders())


def sources(site):
    """All that hold the same WAL, and where it begins and ends."""
    primary = site.primary(max_wal_size="100GB", checkpoint_timeout="1h", wal_keep_size="50GB")
    relay = site.relay(primary, spool={"retain_size": "50GB", "max_size": "100GB"})
    cascade = site.standby(primary, primary, "cascade", max_wal_size="100GB",
                           checkpoint_timeout="1h", wal_keep_size="50GB")
    cascade.catch_up(primary)
    start = primary.switch_wal()
    return primary, relay, cascade, start


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary, relay, cascade, start = sources(site)
        write_wal(primary, arguments.megabytes)
        end = primary.switch_wal()
        cascade.catch_up(primary, deadline=300)
        relay.wait_flushed(end, deadline=300)
        primary.execute("CHECKPOINT")
        everybody = [primary, cascade, relay]
        figures = []
        for count in RECEIVERS:
            for turn in range(arguments.rounds + 1):
                for source in everybody[turn % 3:] + everybody[:turn % 3]:
                    wall, cpu = receive(site, source, count, start, end,
                                        primary.wal_segment_bytes)
                    if turn > 0:  # the first only warms up
                        figures.append({"source": source.name, "receivers": count, "wall_s": wall,
                                        "cpu_s": cpu, "bytes": (end - start) * count})
        return figures
    finally:
        site.close()


def table(figures):
    yield f"{'source':10} {'receivers':>9} {'MB/s':>8} {'CPU s/GB':>9} {'wall':>6} {'CPU':>6}" \
          "   (medians; wall and CPU as ratios to the primary's)"
    for count in RECEIVERS:
        medians = {}
        for source in ("primary", "cascade", "relay"):
            rows = [row for row in figures
                    if row["source"] == source and row["receivers"] == count]
            wall = statistics.median(row["wall_s"] for row in rows)
            cpu = statistics.median(row["cpu_s"] for row in rows)
            medians[source] = wall, cpu
            size = rows[0]["bytes"]
            yield (f"{source:10} {count:9} {size / wall / 1e6:8.0f} {cpu / (size / 1e9):9.3f} "
                   f"{wall / medians['primary'][0]:6.2f} {cpu / medians['primary'][1]:6.2f}")
