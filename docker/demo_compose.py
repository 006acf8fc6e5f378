#!/usr/bin/env python3
"""The topology of docker/compose.yaml in containers: brought up until all are healthy, under a load
for a while, drawn from what the relays say; then the standbys' rows are compared with the primary's,
and all is taken down. Run by docker/demo --compose."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.load import TABLES  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.relay import parse_metrics  # noqa: E402
from support.wait import wait_until  # noqa: E402
from support.wal import format_lsn, parse_lsn  # noqa: E402

SERVERS, RELAYS = ("primary", "standby1", "standby2"), ("hub", "edge")
PORTS = {"hub": "HUB_HTTP_PORT", "edge": "EDGE_HTTP_PORT", "prometheus": "PROMETHEUS_PORT"}
HEALTHY_SECONDS, CATCH_UP_SECONDS = 300, 120
COLUMNS = "  {:10} {:>14} {:>12} {:>12} {:>12}"


def compose_command():
    """Compose as a plug-in of docker, or as a command of its own."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    return [shutil.which("docker-compose") or sys.exit("there is no docker compose")]


def run(command, check=True, **options):
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


class Server:
    """A PostgreSQL server in a container, asked by its own psql."""

    def __init__(self, compose, name):
        self.compose, self.name = compose, name

    def execute(self, sql):
        container = self.compose.container(self.name)
        text = run(["docker", "exec", container, "psql", "-qAtX", "-F", "\t", "-c", sql])
        return [tuple(line.split("\t")) for line in text.splitlines()]

    def fingerprints(self):
        """{table: (rows, sum of their hashes)}, in one go: each call starts a process in a container."""
        return {table: (count, total) for table, count, total in self.execute(" UNION ALL ".join(
            f"SELECT '{table}', count(*), sum(hashtextextended(t::text, 0))::text FROM {table} t"
            for table in TABLES))}

    def lsn(self):
        place = "pg_current_wal_flush_lsn" if self.name == "primary" else "pg_last_wal_replay_lsn"
        return parse_lsn(self.execute(f"SELECT {place}()")[0][0])


class Compose:
    def __init__(self, project):
        self.command = [*compose_command(), "-f", str(ROOT / "docker" / "compose.yaml"), "-p", project]
        self.ports = {name: int(os.environ.get(variable) or free_port())
                      for name, variable in PORTS.items()}
        self.environment = {**os.environ,
                            **{variable: str(self.ports[name]) for name, variable in PORTS.items()}}
        self.containers = {}
        self.servers = [Server(self, name) for name in SERVERS]

    def run(self, *arguments, check=True):
        return run([*self.command, *arguments], check=check, env=self.environment)

    def container(self, name):
        """Its id, which stays: to ask compose each time takes longer than the question."""
        if name not in self.containers:
            self.containers[name] = self.run("ps", "-q", name).strip()
        return self.containers[name]

    def up(self):
        self.run("up", "-d", "--build")
        wait_until(lambda: not self.unhealthy(), HEALTHY_SECONDS,
                   "every container to be healthy", interval=2)

    def unhealthy(self):
        return [name for name in (*SERVERS, *RELAYS, "prometheus") if self.health(name) != "healthy"]

    def health(self, name):
        return run(["docker", "inspect", "-f", "{{.State.Health.Status}}",
                    self.container(name)], check=False).strip()

    def get(self, relay, path):
        url = f"http://127.0.0.1:{self.ports[relay]}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def metrics(self, relay):
        return {name: sum(value for _, value in samples)
                for name, samples in parse_metrics(self.get(relay, "/metrics")).items()}

    def start_load(self, seconds):
        return subprocess.Popen(
            [*self.command, "exec", "-T", "primary", "pgbench", "-n", "-c", "4", "-R", "300",
             "-T", str(seconds)], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def draw(self):
        # All at once: the tip moves while they are asked.
        with ThreadPoolExecutor() as pool:
            relays = pool.map(self.metrics, RELAYS)
            places = list(pool.map(Server.lsn, self.servers))
        tip = places[0]
        print(COLUMNS.format("", "position", "behind", "WAL", "wire"))
        for server, at in zip(self.servers, places):
            print(COLUMNS.format(server.name, format_lsn(at), f"{max(0, tip - at) >> 10} kB", "", ""))
        for name, of in zip(RELAYS, relays):
            at = int(of["walrelay_upstream_received_lsn_bytes"])
            print(COLUMNS.format(name, format_lsn(at), f"{max(0, tip - at) >> 10} kB",
                                 f"{int(of['walrelay_upstream_wal_bytes_total']) >> 10} kB",
                                 f"{int(of['walrelay_upstream_wire_bytes_total']) >> 10} kB"),
                  flush=True)

    def page_above(self):
        """Where the edge's page leads to: the hub's, as a browser on this machine reaches it."""
        leads_to = json.loads(self.get("edge", "/api/status"))["upstream"]["page_url"]
        assert leads_to == f"http://127.0.0.1:{self.ports['hub']}/", leads_to
        return leads_to

    def check(self):
        """True when both standbys hold exactly the primary's rows."""
        primary, *standbys = self.servers
        target, held, ours = primary.lsn(), True, primary.fingerprints()
        for standby in standbys:
            wait_until(lambda: standby.lsn() >= target, CATCH_UP_SECONDS,
                       f"{standby.name} to replay what the primary has", interval=1)
            theirs = standby.fingerprints()
            for table, rows in ours.items():
                same = "the same" if theirs[table] == rows else f"DIFFERENT: {rows} and {theirs[table]}"
                print(f"  {standby.name:10} {table:18} {rows[0]:>8} rows: {same}")
            held = held and ours == theirs
        return held


def watch(compose, seconds):
    load = compose.start_load(seconds)
    while load.poll() is None:
        compose.draw()
        time.sleep(3)
    assert load.returncode == 0, f"pgbench: {load.stdout.read()[-2000:]}"


def main():
    parser = argparse.ArgumentParser(prog="docker/demo --compose", description=__doc__)
    parser.add_argument("--compose", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=60, help="how long the load runs (60)")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    arguments = parser.parse_args()
    compose = Compose("walrelay-demo")
    try:
        print("building images, starting containers", flush=True)
        compose.up()
        for name, port in compose.ports.items():
            print(f"  {name}: http://127.0.0.1:{port}/")
        print(f"  the edge's page leads to {compose.page_above()}")
        watch(compose, arguments.seconds)
        print("the load has ended; comparing rows")
        held = compose.check()
        print("both standbys hold exactly the primary's rows" if held else
              "the standbys do NOT hold the primary's rows")
        return 0 if held else 1
    except KeyboardInterrupt:
        return 130
    except Exception as failure:  # pylint: disable=broad-except
        print(f"the demo failed: {failure}", file=sys.stderr)
        print(compose.run("logs", "--tail=30", check=False), file=sys.stderr)
        return 1
    finally:
        if arguments.keep:
            print(f"left running; to end it: {' '.join(compose.command)} down -v")
        else:
            compose.run("down", "-v", check=False)


if __name__ == "__main__":
    sys.exit(main())
