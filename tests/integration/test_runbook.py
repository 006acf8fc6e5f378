"""The runbook of README.md is carried out: its very commands, in its order, on the machines it names, with
only names and places changed. What stands between the commands is what is waited for here."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from support.load import assert_same_rows
from support.postgres import Postgres
from support.relay import Relay, binary
from support.replication import command
from support.wait import wait_until
from support.wal import segment_start, segments

MB = 1 << 20

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
RUNBOOK = re.search(r"^### Runbook\n(.*?)(?=^### )", README, re.MULTILINE | re.DOTALL).group(1)
PARTS = re.findall(r"^#### (.*)$", RUNBOOK, re.MULTILINE)
DATA, CONFIG = "/var/lib/postgresql/15/main", "/etc/walrelay/walrelay.ini"


def blocks_of(text):
    return re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def part(title):
    """Its commands: (machine, command), block by block."""
    text = re.search(rf"^#### {title}\n(.*?)(?=^#### |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL).group(1)
    return [[re.fullmatch(r"(\w+)\$ (.*)", re.sub(r"\s{2,}#.*", "", line)).groups()
             for line in block.splitlines()] for block in blocks_of(text)]


HUB_LIST, EDGE_LIST = (re.search("^conninfo = (.*)$", block, re.MULTILINE).group(1)
                       for block in blocks_of(RUNBOOK)[:2])
SERVER_SETTINGS = dict(re.sub(r"\s{2,}#.*", "", line).split(" = ", 1)
                       for line in blocks_of(RUNBOOK)[2].splitlines())


class TwoRegions:
    """The machines of the runbook, under a load of commits that wait for the relay."""

    def __init__(self, site):
        self.site = site
        self.tools = site.directory / "bin"
        self.tools.mkdir()
        (self.tools / "walrelay").symlink_to(binary())
        self.machines = {}
        for name in ("db1", "db2", "db3", "db4"):
            self.machines[name] = site.add(Postgres(name, site.directory / name, site.bin_dir))
        for name in ("hub", "edge"):
            self.machines[name] = site.add(Relay(name, site.directory / name, "host=127.0.0.1"))
        self.__dict__.update(self.machines)
        self.begin()

    def begin(self):
        self.hub.configure("upstream", conninfo=self.placed(HUB_LIST))
        self.edge.configure("upstream", conninfo=self.placed(EDGE_LIST))
        self.hub.configure("destination west", match="application edge")
        for relay in (self.hub, self.edge):
            relay.configure("relay", admin_users="ops")
            relay.configure("spool", retain_size="16MB")
        self.db1.initdb(1, max_slot_wal_keep_size="10GB")
        self.db1.start()
        self.db1.execute("CREATE ROLE replicator LOGIN REPLICATION")
        self.db1.execute("CREATE TABLE t (a serial)")
        self.hub.start()
        self.edge.start()
        command(self.edge, "CREATE_REPLICATION_SLOT db3 PHYSICAL RESERVE_WAL")
        for name in ("db2", "db3", "db4"):
            server = self.machines[name]
            server.clone(self.db1)
            (server.data / "standby.signal").touch()
            if name == "db3":
                server.configure(primary_slot_name="db3")
            self.start(name)
        self.db1.configure(**self.settings("db1"))
        self.db1.reload()
        self.write(self.db1)

    # --- the runbook's words ---

    def placed(self, text):
        """Ports in place of those that machines of their own would have."""
        def one(name, port):
            return self.machines[name].port if name in self.machines else port
        text = re.sub(r"-h (\w+) -p 6433", lambda m: f"-h 127.0.0.1 -p {one(m[1], 6433)}", text)

        def conninfo(found):
            names = found[1].split(",")
            return (f"host={','.join(['127.0.0.1'] * len(names))} "
                    f"port={','.join(str(one(name, 0)) for name in names)}")
        return re.sub(r"\bhost=([\w,]+)(?: port=[\d,]+)?", conninfo, text)

    def settings(self, name):
        """What a server has in /etc."""
        region = {"db1": "hub", "db2": "hub"}.get(name, "edge")
        own = {key: self.placed(value.replace("host=hub", f"host={region}"))
               for key, value in SERVER_SETTINGS.items()}
        own["primary_conninfo"] = own["primary_conninfo"][:-1] + f" application_name={name}'"
        own["restore_command"] = own["restore_command"].replace("walrelay", str(binary()))
        return own

    def start(self, name):
        machine = self.machines[name]
        if isinstance(machine, Relay):
            machine.spawn([binary(), "serve", "-c", machine.config_file])
        else:
            os.chmod(machine.data, 0o700)
            machine.configure(**self.settings(name))
            machine.start()

    def systemctl(self, name, verb):
        machine = self.machines[name]
        if verb == "start":
            self.start(name)
        elif verb == "stop":
            machine.stop()
        else:
            machine.send(signal.SIGHUP)

    def run(self, step, check=True):
        """One line of the runbook; what it printed."""
        name, line = step
        machine = self.machines[name]
        service = re.fullmatch(r"systemctl (start|stop|reload) (?:walrelay|postgresql)", line)
        if service:
            return self.systemctl(name, service[1])
        if isinstance(machine, Relay):
            line = line.replace(CONFIG, str(machine.config_file))
            line = re.sub("^walrelay status", f"walrelay status -c {machine.config_file}", line)
        else:
            line = line.replace(DATA, str(machine.data))
        done = subprocess.run(
            ["bash", "-c", self.placed(line)], cwd=machine.directory, capture_output=True, text=True,
            timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{self.tools}:{self.site.bin_dir}:{os.environ['PATH']}",
                 "PGHOST": "127.0.0.1", "PGPORT": str(machine.port), "PGDATABASE": "postgres"})
        assert done.returncode == 0 or not check, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def run_all(self, block):
        for step in block:
            self.run(step)

    def run_until(self, step, said):
        return wait_until(lambda: re.search(said, self.run(step)), 60, f'"{said}" from {step[1]}')

    # --- what is expected of it all ---

    def write(self, primary, rows=100):
        """Commits that the relay has: they return, and are counted."""
        wait_until(lambda: primary.value("SHOW transaction_read_only") == "off")
        for _ in range(rows):
            primary.execute("INSERT INTO t DEFAULT VALUES")

    def all_follow(self, primary, standbys, relays=("hub", "edge")):
        """All of them have what the primary has now, byte for byte and row for row."""
        self.write(primary)
        end = primary.switch_wal()
        for name in relays:
            self.machines[name].wait_flushed(end)
            self.assert_holds(self.machines[name], primary, end)
        for name in standbys:
            # Half a minute a file is what fetches give a relay that is away.
            self.machines[name].catch_up(primary, deadline=120)
            assert_same_rows(primary, self.machines[name], ["t"])

    @staticmethod
    def assert_holds(relay, primary, end):
        """The segments that both have: one that was promoted had none before it was made."""
        both = [name for name in set(segments(relay.spool)) & set(segments(primary.pg_wal))
                if segment_start(name, MB) + MB <= end
                and name[:8] == f"{int(relay.metric('timeline')):08X}"]
        assert both, "nothing to compare"
        for name in both:
            assert (relay.spool / name).read_bytes() == (primary.pg_wal / name).read_bytes(), name

    def count(self, server):
        return server.value("SELECT count(*) FROM t")


@pytest.fixture
def regions(site):
    made = TwoRegions(site)
    made.all_follow(made.db1, ["db2", "db3", "db4"])
    return made


def test_every_part_is_carried_out_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert len(PARTS) == 8
    for title in PARTS:
        assert f'part("{title}")' in source, title


def lose_primary(regions):
    """The first four lines."""
    (status, ranking, promote, follows), = part("The primary is lost")
    regions.db1.kill9()
    regions.run_until(status, "(?m)^drained: yes$")
    regions.run_until(ranking, r"(?m)1 \| db2 .*\| t$")
    regions.run(promote)
    regions.run_until(follows, rf"{regions.db2.port}.*timeline 2")


def test_the_primary_is_lost(regions):
    written = regions.count(regions.db1)
    lose_primary(regions)
    assert regions.count(regions.db2) == written
    regions.all_follow(regions.db2, ["db3", "db4"])


def test_the_old_primary_is_back(regions):
    """It had written more, which nobody was told of: it waited for a relay that was not there."""
    block, = part("The old primary is back")
    # Without the hub a commit is written at db1 and reaches nobody.
    regions.hub.stop()
    stray = psycopg.connect(regions.db1.conninfo(dbname="postgres"), autocommit=True)
    stray.pgconn.send_query(b"INSERT INTO t SELECT 1000000")
    wait_until(lambda: regions.db1.value(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1)
    regions.db1.kill9()
    stray.close()
    regions.start("hub")
    lose_primary(regions)
    regions.write(regions.db2)
    regions.db2.execute("CHECKPOINT")
    # It comes back by itself, as a primary; nobody follows, and its commits are held up.
    regions.db1.start()
    regions.hub.stop()
    regions.start("hub")
    regions.all_follow(regions.db2, ["db3", "db4"])
    regions.db1.stop()
    regions.run_all(block)
    regions.all_follow(regions.db2, ["db1", "db3", "db4"])
    assert regions.db1.value("SELECT count(*) FROM t WHERE a = 1000000") == 0


def test_the_region_of_the_primary_is_lost(regions):
    (status, ranking, promote, follows), back = part("The region of the primary is lost")
    rewind, = part("The old primary is back")
    for name in ("db1", "db2", "hub"):
        regions.machines[name].kill9()
    regions.run_until(status, "(?m)^drained: yes$")
    assert re.search(r"1 \| db[34] .*\| t$", regions.run(ranking), re.MULTILINE)
    regions.run(promote)
    regions.run_until(follows, rf"{regions.db3.port}.*timeline 2")
    regions.all_follow(regions.db3, ["db4"], ["edge"])
    regions.run_all(back)
    regions.all_follow(regions.db3, ["db4"])
    regions.db3.execute("CHECKPOINT")
    for name, line in rewind:
        regions.run((name, line.replace("host=db2", "host=db3")))
    regions.all_follow(regions.db3, ["db1", "db2", "db4"])


def test_a_relay_is_lost(regions):
    again, without = part("A relay is lost")
    regions.hub.kill9()
    regions.run(again[0])
    regions.run_until(again[1], "(?i)streaming")
    regions.all_follow(regions.db1, ["db2", "db3", "db4"])
    regions.hub.kill9()
    regions.run_all(without)
    regions.all_follow(regions.db1, ["db2", "db3", "db4"], ["edge"])


def test_an_edge_is_lost(regions):
    block, = part("An edge is lost")
    regions.edge.kill9()
    regions.run_all(block)
    regions.all_follow(regions.db1, ["db2", "db3"], ["hub"])
    assert command(regions.hub, "READ_REPLICATION_SLOT walrelay_edge")[0][0] is None


def test_a_spool_is_lost(regions):
    bad, gone = part("A spool is lost")
    regions.run_all(bad)
    regions.all_follow(regions.db1, ["db2", "db3", "db4"])
    assert list(regions.edge.data_dir.glob("wal.set-aside-*"))

    regions.edge.kill9()
    shutil.rmtree(regions.edge.data_dir)
    # What standbys lack lies before where the new spool begins.
    regions.write(regions.db1)
    regions.db1.switch_wal()
    regions.write(regions.db1)
    regions.db1.switch_wal()
    regions.db1.execute("CHECKPOINT")
    regions.run(gone[0])
    wait_until(regions.edge.is_ready, 60)
    regions.run(gone[1])
    regions.all_follow(regions.db1, ["db2", "db3", "db4"])


def test_a_planned_switchover(regions):
    (checkpoint, stop, status, promote, standby, start), = part("A planned switchover")
    written = regions.count(regions.db1)
    regions.run(checkpoint)
    regions.run(stop)
    regions.run_until(status, "(?m)^drained: yes$")
    regions.run(promote)
    regions.run(standby)
    regions.run(start)
    assert regions.count(regions.db2) == written
    regions.all_follow(regions.db2, ["db1", "db3", "db4"])
    spool = regions.hub.status()["spool"]
    assert not spool["lost_bytes"], "nothing of what was acknowledged is left behind"


def test_the_wan_is_out_for_a_day(regions):
    (slots, larger, reload), (cap, behind), anew = part("The WAN is out for a day")
    regions.edge.freeze()
    regions.write(regions.db1)
    found = regions.run(slots)
    assert re.search(r"wal_status\s+\| safe_wal_size\s+\|\s+safe_time", found)
    assert re.search(r"walrelay_edge .*\| (reserved|extended) ", found), found
    regions.run(larger)
    regions.run(reload)
    regions.hub.wait_for_log("(?i)reload")
    assert "max_size = 500GB" in regions.hub.config_file.read_text()
    regions.edge.thaw()
    regions.run(cap)
    assert "behind" in regions.run(behind) or regions.edge.is_connected()
    regions.all_follow(regions.db1, ["db2", "db3", "db4"])

    # And once more, for longer than max_size allows.
    regions.edge.stop()
    regions.run(("hub", f"sed -i 's/^max_size .*/max_size = 32MB/' {CONFIG}"))
    regions.run(reload)
    regions.db1.execute("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)")
    regions.hub.wait_for_log('slot "walrelay_edge" is lost', deadline=60)
    regions.db1.switch_wal()
    regions.start("edge")
    regions.edge.wait_for_log("can no longer access replication slot|has been invalidated|already been removed")
    streams = next(step for step in anew if step[1] == "walrelay status")
    regions.run_all(anew[:anew.index(streams)])
    regions.run_until(streams, "(?i)streaming")
    regions.run_all(anew[anew.index(streams) + 1:])
    regions.all_follow(regions.db1, ["db2", "db3"])
