#!/usr/bin/env python3
"""A primary, a hub, an edge, two standbys seeded with pg_basebackup through the edge, and a load: each
a real server on loopback under a scratch directory. Draws what happens; at the end the load stops, the
standbys catch up, and their rows are compared with the primary's. Run by docker/demo."""
import argparse
import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.load import TABLES, Pgbench, fingerprint, pgbench_init  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from support.process import Process  # noqa: E402
from support.relay import run_cli  # noqa: E402
from support.site import Site  # noqa: E402
from support.wal import format_lsn  # noqa: E402

CATCH_UP_SECONDS = 60
COLUMNS = "  {:10} {:10} {:>14} {:>10} {:>10} {:>10} {:>7} {:>9}"
DESTINATION = "us-west-2"


def size(count):
    for unit in ("B", "kB", "MB"):
        if abs(count) < 10240:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.0f} GB"


class Demo:
    def __init__(self, keep):
        if keep:
            Process.death_signal = Postgres.death_signal = None
        self.site = Site(prefix="walrelay-demo.")
        self.relays = []
        self.standbys = []
        self.began = self.drawn = None

    def build(self):
        site = self.site
        say("a primary")
        self.primary = site.primary(fresh=True, fsync="on")
        pgbench_init(self.primary, scale=5)
        # The chain WAL goes through: each relay follows the one before it.
        for name in ["hub", "edge"]:
            upstream = self.relays[-1] if self.relays else self.primary
            say(f"{name}, a relay that follows {upstream.name}")
            sections = {"spool": {"retain_size": "1GB"}}
            if name == "hub":
                # A destination is what a provider bills: here, all that goes to the edge.
                sections[f"destination {DESTINATION}"] = {
                    "match": "application edge", "provider": "aws", "price_per_gb": "0.09",
                    "rate_cap": "200Mbit/s", "daily_limit": "20GB"}
            relay = site.relay(upstream, name, start=False, **sections)
            # What the page of the relay behind it leads to.
            relay.configure("relay", page_url=f"http://127.0.0.1:{relay.http_port}/")
            self.relays.append(relay.start())
        last = self.relays[-1]
        self.load = site.pgbench(self.primary, init=False, rate=500, clients=4)
        for name in ("standby1", "standby2"):
            say(f"{name}, seeded by pg_basebackup through {last.name}")
            standby = site.add(Postgres(name, site.directory / name))
            standby.basebackup(last.conninfo(application_name=name), "-X", "stream", "-R", "-C",
                               "-S", name)
            standby.configure(wal_retrieve_retry_interval="1s")
            self.standbys.append(standby.start())
        self.servers = [self.primary, *self.relays, *self.standbys]
        self.start_lsn = self.primary.insert_lsn()
        self.start_wire = {relay.name: self.wire_bytes(relay) for relay in self.relays}
        self.began = time.monotonic()

    def position(self, server):
        if server is self.primary:
            return server.flush_lsn()
        return server.replay_lsn() if server in self.standbys else server.received_lsn()

    def cost(self, server):
        """What the hub's destination has cost so far, in millionths of the currency."""
        cost = server.metric("destination_cost_total", destination=DESTINATION)
        return "" if cost is None else f"{cost * 1e6:.0f}"

    def wire_bytes(self, server):
        """What the stream has brought to it over its connection so far, framing included."""
        return int(server.metric("upstream_wire_bytes_total") or 0)

    def rows(self):
        """Of each server: name, whom it follows, position, bytes behind, WAL brought, bytes of it on
        the wire, how many times as much its standbys would have pulled by themselves, and what
        sending it on has cost."""
        tip = self.position(self.primary)
        for number, server in enumerate(self.servers):
            position = self.position(server)
            follows = "" if number == 0 else self.relays[-1].name if server in self.standbys else \
                self.servers[number - 1].name
            brought = max(0, position - self.start_lsn)
            wire, ratio, cost = "", "", ""
            if server in self.relays:
                wire_bytes = self.wire_bytes(server) - self.start_wire[server.name]
                wire, cost = size(wire_bytes), self.cost(server)
                if wire_bytes > 0:
                    ratio = f"{brought * len(self.standbys) / wire_bytes:.1f}"
            yield (server.name, follows, format_lsn(position), size(max(0, tip - position)),
                   size(brought), wire, ratio, cost)

    def draw(self, seconds):
        if sys.stdout.isatty() and self.drawn:
            print(f"\033[{self.drawn}A\033[J", end="")
        elapsed = time.monotonic() - self.began
        lines = [f"{elapsed:5.0f} of {seconds} s",
                 COLUMNS.format("server", "follows", "position", "behind", "WAL", "wire", "saves",
                                "cost, µ$")]
        lines += [COLUMNS.format(*row) for row in self.rows()]
        print("\n".join(lines), flush=True)
        self.drawn = len(lines)

    def watch(self, seconds):
        interval = 1 if sys.stdout.isatty() else 5
        while time.monotonic() - self.began < seconds:
            self.draw(seconds)
            time.sleep(max(0.0, min(interval, self.began + seconds - time.monotonic())))
        self.draw(seconds)

    def check(self):
        """True when both standbys hold exactly the primary's rows."""
        self.load.stop()
        held = True
        for standby in self.standbys:
            standby.catch_up(self.primary, CATCH_UP_SECONDS)
            for table in TABLES:
                ours, theirs = fingerprint(self.primary, table), fingerprint(standby, table)
                same = "the same" if ours == theirs else f"DIFFERENT: {ours} and {theirs}"
                print(f"  {standby.name:10} {table:18} {ours[0]:>8} rows: {same}")
                held = held and ours == theirs
        return held

    def usage(self):
        """The hub's own account of what went to whom, backups included."""
        done = run_cli("usage", "-c", self.relays[0].config_file)
        print(done.stdout or done.stderr, end="")

    def addresses(self):
        for relay in self.relays:
            print(f"  {relay.name}: status page http://127.0.0.1:{relay.http_port}/, console: "
                  f"psql '{relay.conninfo(user='postgres', dbname='walrelay')}'")
        for server in [self.primary, *self.standbys]:
            print(f"  {server.name}: psql -h 127.0.0.1 -p {server.port} -U postgres")

    def leave_running(self):
        self.load = self.site.add(Pgbench("load", self.site.directory / "load", self.primary,
                                          clients=4, rate=500, seconds=86400)).start()
        stop = self.site.directory / "stop"
        pids = " ".join(str(process.pid) for process in reversed(self.site.processes)
                        if process.is_running)
        directory = shlex.quote(str(self.site.directory))
        stop.write_text(f"#!/bin/sh\nkill -INT {pids}\nfor pid in {pids}; do\n"
                        "\twhile kill -0 $pid 2>/dev/null; do sleep 0.2; done\ndone\n"
                        f"rm -rf {directory}\n", encoding="utf-8")
        stop.chmod(0o755)
        print(f"left running with its load; to end it and remove its files: {stop}")
        self.addresses()


def say(text):
    print(f"starting {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="docker/demo", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long the load runs (60)")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--compose", action="store_true",
                        help="the same in containers, from docker/compose.yaml")
    arguments = parser.parse_args()
    demo = Demo(arguments.keep)
    kept = False
    try:
        demo.build()
        demo.addresses()
        demo.watch(arguments.seconds)
        print("the load has ended; comparing rows")
        held = demo.check()
        demo.usage()
        print("both standbys hold exactly the primary's rows" if held else
              "the standbys do NOT hold the primary's rows")
        if arguments.keep:
            demo.leave_running()
            kept = True
        return 0 if held else 1
    except KeyboardInterrupt:
        return 130
    except Exception as failure:  # pylint: disable=broad-except
        print(f"the demo failed: {failure}", file=sys.stderr)
        for name, text in demo.site.logs(2000):
            print(f"--- the end of the log of {name}\n{text}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            demo.site.close()


if __name__ == "__main__":
    sys.exit(main())
