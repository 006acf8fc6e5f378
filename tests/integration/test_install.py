"""What is installed beside the binary: the unit, the sample configurations, completion for bash."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.load import assert_same_rows
from support.ports import free_port
from support.postgres import Postgres
from support.process import Process
from support.relay import binary
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "docker" / "sample"


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120,
                          check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(name="build")
def configured_build(site):
    """A build directory that is set up to install under the site, where the binary is already."""
    prefix = site.directory / "usr"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "walrelay").symlink_to(binary())
    run("meson", "setup", site.directory / "build", ROOT, f"--prefix={prefix}", "-Dtests=false")
    return site.directory / "build"


def test_everything_is_installed(site, build):
    installed = json.loads(run("meson", "introspect", "--installed", build))
    prefix = site.directory / "usr"
    names = sorted(str(Path(place).relative_to(prefix)) for place in installed.values())
    assert names == sorted([
        "bin/walrelay", "lib/systemd/system/walrelay.service", "lib/systemd/system/walrelay.socket",
        "lib/sysusers.d/walrelay.conf", "share/bash-completion/completions/walrelay",
        "share/man/man1/walrelay.1", "share/man/man5/walrelay.ini.5",
        *(f"share/doc/walrelay/examples{name}" for name in (
            "", "/prometheus.yml", "/prometheus-rules.yml", "/grafana-dashboard.json"))])
    sources = [Path(source) for source in installed if not source.startswith(str(build))]
    assert all(source.exists() for source in sources)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_right_and_confined(build):
    unit = build / "docker" / "walrelay.service"
    said = run("systemd-analyze", "verify", "--man=no", unit, ROOT / "docker/systemd/walrelay.socket")
    assert said == ""
    run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)


# --- the samples ---


class Sample:
    """A sample in place of /etc/walrelay, its files as they are but for ports and places."""

    def __init__(self, site, name, upstream_port, certificates):
        self.name = name
        self.port, self.http_port = free_port(), free_port()
        self.directory = site.directory / name
        shutil.copytree(SAMPLE / name, self.directory)
        file = self.directory / "walrelay.ini"
        text = file.read_text()
        for old, new in {"/var/lib/walrelay": site.directory / f"{name}-data",
                         "/etc/walrelay/tls": certificates, "0.0.0.0:6433": f"127.0.0.1:{self.port}",
                         "0.0.0.0:9871": f"127.0.0.1:{self.http_port}",
                         "min_free      = 1GB": "min_free = 16MB"}.items():
            assert old in text, old
            text = text.replace(old, str(new))
        for old in ("host=db1 port=5432", "host=hub port=6433"):
            host = old.split()[0]
            text = text.replace(old, f"{host} hostaddr=127.0.0.1 port={upstream_port}")
        file.write_text(text)

    def check(self, *options):
        return run(binary(), "check", *options, "-c", self.directory / "walrelay.ini")

    def serve(self, site):
        process = site.add(Process(self.name, self.directory))
        process.spawn([binary(), "serve", "-c", self.directory / "walrelay.ini"])
        wait_until(lambda: "streaming from" in process.log_text(), what=f"{self.name} to stream")
        return process


@pytest.fixture(name="certificates")
def made_certificates(site):
    directory = site.directory / "tls"
    run(SAMPLE / "certificates", directory, "db1", "hub", "edge")
    run(SAMPLE / "certificates", directory, "replicator", "standby=127.0.0.1,localhost")
    return directory


def test_the_samples_are_right(site, certificates):
    for name in ("hub", "edge"):
        said = Sample(site, name, 5432, certificates).check("--offline")
        assert "warning" not in said.lower() and f"name = {name}" in " ".join(said.split())


def secured_primary(site, certificates):
    """As the sample of the hub wants it: TLS, and the role known by its certificate."""
    primary = site.primary(max_slot_wal_keep_size="10GB")
    primary.execute("CREATE ROLE replicator LOGIN REPLICATION")
    hba = primary.data / "pg_hba.conf"
    hba.write_text("hostssl replication replicator all cert\n"
                   "host replication replicator all reject\n" + hba.read_text())
    primary.configure(ssl="on", ssl_cert_file=f"'{certificates}/db1.crt'",
                      ssl_key_file=f"'{certificates}/db1.key'",
                      ssl_ca_file=f"'{certificates}/ca.crt'")
    primary.restart()
    return primary


def test_the_samples_stream_and_know_each_other_by_certificates(site, certificates):
    primary = secured_primary(site, certificates)
    hub = Sample(site, "hub", primary.port, certificates)
    hub_process = hub.serve(site)
    edge = Sample(site, "edge", hub.port, certificates)
    edge.serve(site)
    wait_until(lambda: "over a link" in hub_process.log_text(), what="a link")
    hub.check()
    edge.check()
    status = json.loads(run(binary(), "status", "--json", "--url", f"http://127.0.0.1:{edge.http_port}"))
    assert status["upstream"]["page_url"] == "http://hub:9871/", "what the edge's page leads to"
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")

    conninfo = (f"host=edge hostaddr=127.0.0.1 port={edge.port} user=standby sslmode=verify-full "
                f"sslrootcert={certificates}/ca.crt sslcert={certificates}/standby.crt "
                f"sslkey={certificates}/standby.key")
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(conninfo, "-X", "stream", "-R", "-C", "-S", "standby")
    standby.configure()
    standby.start()
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])

    shown = conninfo.replace("user=standby", "user=edge")
    refused = subprocess.run([site.client_bin / "pg_basebackup", "-D", site.directory / "no", "-d", shown],
                             capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and 'user "edge"' in refused.stderr


# --- completion ---

ASK = """
source docker/completion/walrelay
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_walrelay
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words):
    """What bash offers for the last of the words."""
    environment = {**os.environ, "PATH": f"{binary().parent}:{os.environ['PATH']}"}
    return run("bash", "-uc", ASK, "bash", "walrelay", *words, cwd=ROOT,
               env=environment).split()


def test_completion(site):
    assert complete("st") == ["status"]
    assert {"serve", "check", "user", "reset"} <= set(complete(""))
    assert complete("--v") == ["--version"]
    assert complete("usage", "--b") == ["--by"]
    assert {"--json", "--csv", "--url", "-c"} <= set(complete("usage", "-"))
    assert complete("usage", "--by", "m") == ["month"]
    assert complete("serve", "-c", "docker/sam") == ["docker/sample"]
    assert complete("reset", "--new") == ["--new-system"]
    assert complete("nagios", "--destination", "") == []
