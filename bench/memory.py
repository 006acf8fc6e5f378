"""Memory: what the relay's process takes for 1, 100 and 1000 standbys, idle and streaming.

The standbys are played by bench/standby_player.c. Anonymous memory is the relay's own; that of files
is its binary and libraries and the mapped pages of the spool.
"""
import os
import re
import subprocess
from pathlib import Path

from support.site import Site
from support.wait import wait_until
from support.wal import format_lsn

COUNTS = (1, 100, 1000)
LOAD_SECONDS = 8


def resident(pid):
    """kB; the relay keeps everybody but root out of its smaps."""
    text = Path(f"/proc/{pid}/status").read_text()
    return {f"{what}_kb": int(re.search(rf"Rss{name}:\s+(\d+)", text).group(1))
            for what, name in (("anonymous", "Anon"), ("file", "File"))}


def largest(samples):
    return {key: max(sample[key] for sample in samples) for key in samples[0]}


def play(relay, count, lsn):
    tool = Path(os.environ["WALRELAY_BENCH_TOOLS"]) / "standby_player"
    player = subprocess.Popen([tool, relay.conninfo(), str(count), format_lsn(lsn)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if player.stdout.readline() != "ready\n":
        raise RuntimeError("the standbys could not be played")
    return player


def one_count(site, primary, count):
    relay = site.relay(primary, f"relay{count}", relay={"max_connections": 2000})
    wait_until(lambda: relay.received_lsn() >= primary.flush_lsn())
    none = resident(relay.pid)
    player = play(relay, count, relay.received_lsn())
    idle = resident(relay.pid)
    load = site.pgbench(primary, init=False, seconds=LOAD_SECONDS, rate=500, name=f"load{count}")
    samples = [resident(relay.pid)]

    def load_is_over():
        samples.append(resident(relay.pid))
        return not load.is_running
    wait_until(load_is_over, LOAD_SECONDS + 60, interval=0.2)
    player.communicate(timeout=60)
    relay.stop()
    return {"standbys": count, "none": none, "idle": idle, "streaming": largest(samples)}


def measure(_):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary()
        site.pgbench(primary, seconds=1, name="init").process.wait(60)
        return [one_count(site, primary, count) for count in COUNTS]
    finally:
        site.close()


def table(rows):
    yield f"{'standbys':>8} {'':10} {'anonymous kB':>13} {'of files kB':>12} " \
          f"{'kB a standby (anonymous)':>25}"
    for row in rows:
        for state in ("none", "idle", "streaming"):
            sizes = row[state]
            each = (sizes["anonymous_kb"] - row["none"]["anonymous_kb"]) / row["standbys"]
            yield (f"{row['standbys']:8} {state:10} {sizes['anonymous_kb']:13} "
                   f"{sizes['file_kb']:12} "
                   f"{each if state != 'none' else 0:25.1f}")
