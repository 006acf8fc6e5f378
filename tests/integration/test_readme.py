"""README.md is run: the demo, and every command of the quick start, with only names and places changed."""
import os
import re
import subprocess
from pathlib import Path

from support.load import assert_same_rows
from support.ports import free_port
from support.postgres import Postgres
from support.process import Process
from support.relay import binary
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^##+ {title}\n(.*?)(?=^#)", README, re.MULTILINE | re.DOTALL).group(1)


def blocks(title):
    """The texts between ``` of a section."""
    return re.findall(r"^```\w*\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


def commands(block):
    """Its lines without what is explained behind them."""
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


def shell(command, directory, stdin="", deadline=120, **environment):
    done = subprocess.run(["bash", "-c", command], cwd=directory, input=stdin, text=True,
                          capture_output=True, timeout=deadline, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_demo(site):
    """Without its build: the binary is there."""
    done = shell("docker/demo --seconds 3", ROOT, deadline=300, WALRELAY_BINARY=str(binary()),
                 XDG_CACHE_HOME=str(site.directory / "cache"))
    assert "hold exactly the primary's rows" in done
    assert done.count("the same") >= 8


def test_the_two_commands_are_there():
    assert commands(blocks("Two commands")[0]) == ["docker/demo", "tests/run"]
    assert "--seconds" in shell("docker/demo --help", ROOT)
    assert "tests/run all" in shell("tests/run --help", ROOT)


def test_the_build(site):
    """Setting up is enough of it: tests/run compiles and so made the binary of these tests."""
    build, compile_command, install = blocks("Quick start")[0].strip().split(" && ")
    assert compile_command == "meson compile -C build" and install == "meson install -C build"
    shell(build.replace(" build ", f" {site.directory}/build {ROOT} "), site.directory)


def test_what_installing_names():
    """tests/try_package and tests/try_containers run it."""
    package, install, image, compose = commands(blocks("Installing")[0])
    assert (ROOT / package).exists()
    version = re.search(r"version: '(.*)'", (ROOT / "meson.build").read_text()).group(1)
    assert f"./walrelay_{version}_" in install
    for word in (*image.split(), *compose.split()):
        assert not word.startswith("docker/") or (ROOT / word).exists(), word


class QuickStart:
    """A directory in place of /etc/walrelay with the files of the README, and a primary as it asks."""

    def __init__(self, site):
        self.site = site
        self.directory = site.directory / "etc"
        self.directory.mkdir()
        (self.directory / "walrelay").symlink_to(binary())
        self.port = free_port()
        self.primary = site.primary(max_slot_wal_keep_size="10GB")
        self.primary.execute("CREATE ROLE replicator LOGIN REPLICATION")
        _, self.ini, self.rules, self.lines = blocks("Quick start")
        # The ports of a test are its own; the rest is where things are, not what they are.
        (self.directory / "walrelay.ini").write_text(replaced(self.ini, {
            "[relay]": f"[relay]\nlisten = 127.0.0.1:{self.port}\n"
                       f"http_listen = 127.0.0.1:{free_port()}\n",
            "/var/lib/walrelay": str(site.directory / "lib"),
            "host=db1,db2": f"host=127.0.0.1,127.0.0.1 port={free_port()},{self.primary.port}"}))
        (self.directory / "relay_hba.conf").write_text(
            replaced(self.rules, {"10.0.0.0/8": "127.0.0.0/8"}))

    def run(self, line, **options):
        line = replaced(line, {" relay ": " 127.0.0.1 ", "6433": str(self.port)},
                        must="pg_basebackup" in line)
        return shell(line, self.directory, PATH=f"{self.directory}:{self.site.client_bin}:"
                     f"{os.environ['PATH']}", PGPASSWORD="sesame", **options)

    def serve(self, line):
        relay = self.site.add(Process("relay", self.directory))
        relay.spawn([self.directory / "walrelay", *line.split()[1:]])
        wait_until(lambda: "streaming from" in relay.log_text(), what="the relay to stream")
        return relay


def replaced(text, places, must=True):
    for old, new in places.items():
        assert old in text or not must, f"{old} is no longer in {text}"
        text = text.replace(old, new)
    return text


def test_the_quick_start(site):
    start = QuickStart(site)
    user, check, serve, backup = commands(start.lines)
    start.run(user, stdin="sesame\n")
    assert oct((start.directory / "users.txt").stat().st_mode)[-3:] == "600"
    assert "retain_size" in start.run(check)
    start.serve(serve)
    start.primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    start.run(backup)

    standby = site.add(Postgres("standby", start.directory, site.bin_dir))
    standby.configure()
    standby.start()
    standby.catch_up(start.primary)
    assert_same_rows(start.primary, standby, ["t"])
    assert standby.value("SHOW primary_slot_name") == "standby1"


class Sites:
    """db1, hub, edge and a standby of the README on one machine: only names, ports and places change."""

    def __init__(self, site):
        self.site = site
        (self.sql, self.primary_rule, self.hub_ini, self.hub_rule, self.hub_lines, self.edge_ini,
         self.edge_rule, self.seed, self.follow) = blocks("Two sites")
        self.ports = {"hub": free_port(), "edge": free_port()}
        self.primary = site.primary()
        for line in self.sql.splitlines():
            self.primary.execute(line)
        hba = self.primary.data / "pg_hba.conf"
        hba.write_text(replaced(self.primary_rule, {" hub ": " 127.0.0.1/32 "})
                       + "host replication replicator all reject\n" + hba.read_text())
        self.primary.restart()

    def relay(self, name, ini, rule, user, password):
        directory = self.site.directory / name
        directory.mkdir()
        places = {"[relay]": f"[relay]\nlisten = 127.0.0.1:{self.ports[name]}\n"
                             f"http_listen = 127.0.0.1:{free_port()}\n",
                  "/var/lib/walrelay": str(self.site.directory / f"lib-{name}"),
                  **({"host=db1": f"host=127.0.0.1 port={self.primary.port}"} if name == "hub" else
                     {"host=hub port=6433": f"host=127.0.0.1 port={self.ports['hub']}"})}
        (directory / "walrelay.ini").write_text(replaced(ini, places))
        (directory / "relay_hba.conf").write_text(re.sub(r"10\.2\.\S+", "127.0.0.0/8", rule))
        add_user, check, enable = commands(self.hub_lines)
        assert enable == "systemctl enable --now walrelay"
        environment = {"PATH": f"{binary().parent}:{os.environ['PATH']}"}
        # There is no user of the package's.
        shell(replaced(add_user, {"edge": user, " && chown walrelay users.txt": ""}), directory,
              stdin=f"{password}\n", **environment)
        assert f"name = {name}" in " ".join(shell(check, directory, **environment).split())
        relay = self.site.add(Process(name, directory))
        relay.spawn([binary(), "serve", "-c", directory / "walrelay.ini"])
        wait_until(lambda: "streaming from" in relay.log_text(), what=f"{name} to stream")
        wait_until(lambda: any((self.site.directory / f"lib-{name}" / "wal").glob("0*")),
                   what=f"{name} to have WAL")
        return relay


def test_two_sites(site):
    """Each step as it stands there."""
    sites = Sites(site)
    assert sites.primary.value("SHOW max_slot_wal_keep_size") == "50GB"
    hub = sites.relay("hub", sites.hub_ini, sites.hub_rule, "edge", "open")
    sites.relay("edge", sites.edge_ini, sites.edge_rule, "standby", "seed")
    wait_until(lambda: "over a link" in hub.log_text(), what="a link")
    sites.primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    directory = site.directory / "new"
    directory.mkdir()
    shell(replaced(sites.seed, {"-h edge -p 6433": f"-h 127.0.0.1 -p {sites.ports['edge']}"}),
          directory, PATH=f"{site.client_bin}:{os.environ['PATH']}", PGPASSWORD="seed")
    standby = site.add(Postgres("new", directory, site.bin_dir))
    standby.configure()
    standby.start()
    # And as one that is there already.
    with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(replaced(sites.follow, {"host=edge port=6433":
                                           f"host=127.0.0.1 port={sites.ports['edge']}"}))
    (standby.data / "postgresql.auto.conf").write_text("primary_slot_name = 'standby1'\n")
    standby.execute("SELECT pg_reload_conf()")
    sites.primary.execute("INSERT INTO t SELECT generate_series(1001, 2000)")
    standby.catch_up(sites.primary)
    assert_same_rows(sites.primary, standby, ["t"])
    assert "standby1" in standby.value("SHOW primary_conninfo")
    assert sites.primary.walsenders() == ["hub"]


def test_every_alert_has_its_row():
    source = (ROOT / "relay" / "observe" / "alert.c").read_text(encoding="utf-8")
    kinds = re.findall(r"^\t\[ALERT_\w+\] = \{\"(\w+)\"", source, re.MULTILINE)
    assert len(kinds) > 20
    rows = re.findall(r"^\| (`.*?`) \| .+ \| .+ \|$", section("When something is wrong"), re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(kinds)
