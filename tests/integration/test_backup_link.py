"""Base backups through a hub and edges: compressed between relays, as asked for at the client."""
import gzip
import re
import subprocess
import tarfile

import pytest

from support.load import assert_same_rows, pgbench_init
from support.postgres import Postgres
from support.process import Process
from support.wait import wait_until

MB = 1 << 20


def tree(site, primary, names=("hub", "edge"), **options):
    relays, upstream = [], primary
    for name in names:
        upstream = site.relay(upstream, name, **options)
        relays.append(upstream)
    return relays


def run_basebackup(site, relay, target, *arguments):
    return subprocess.run(
        [site.client_bin / "pg_basebackup", "-d", relay.conninfo(), "-D", target, "-c", "fast",
         "--no-sync", *arguments], capture_output=True, text=True, timeout=120, check=False)


def sent_by(relay):
    return sum(value for _, value in
               relay.metrics()["walrelay_destination_wire_bytes_total"])


def verify(site, standby):
    checked = subprocess.run([site.client_bin / "pg_verifybackup", "-n", standby.data],
                             capture_output=True, text=True, check=False)
    assert "backup successfully verified" in checked.stdout or \
        "postgresql.conf" in checked.stderr, checked.stderr


@pytest.mark.parametrize("method", ["stream", "fetch"])
@pytest.mark.parametrize("names", [("hub", "edge"), ("hub", "middle", "edge")])
def test_a_standby_is_made_through_relays(site, names, method):
    primary = site.primary()
    pgbench_init(primary, scale=3)
    relays = tree(site, primary, names)
    load = site.pgbench(primary, init=False, rate=100)
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(relays[-1].conninfo(application_name="standby"), "-X", method, "-R")
    load.stop()
    verify(site, standby)
    standby.start()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    wait_until(lambda: primary.walsenders() == ["hub"], what="the backup's connection to be gone")


def test_it_crosses_compressed(site):
    primary = site.primary()
    pgbench_init(primary, scale=3)
    hub, edge = tree(site, primary)
    edge.wait_flushed(primary.flush_lsn())
    target = site.directory / "tar"
    before = sent_by(hub)
    done = run_basebackup(site, edge, target, "-F", "tar", "-X", "none")
    assert done.returncode == 0, done.stderr
    tar_bytes = (target / "base.tar").stat().st_size
    assert tar_bytes > 40 * MB
    wait_until(lambda: primary.walsenders() == ["hub"])
    assert sent_by(hub) - before < tar_bytes / 4
    with tarfile.open(target / "base.tar") as archive:
        assert "global/pg_control" in archive.getnames()


def test_one_that_comes_compressed_is_left_alone(site):
    primary = site.primary()
    _, edge = tree(site, primary)
    target = site.directory / "tar"
    done = run_basebackup(site, edge, target, "-F", "tar", "-X", "none",
                          "--compress=server-gzip:5")
    assert done.returncode == 0, done.stderr
    with gzip.open(target / "base.tar.gz") as file, tarfile.open(fileobj=file) as archive:
        assert "global/pg_control" in archive.getnames()


@pytest.mark.parametrize("without", ["hub", "edge"])
def test_one_end_that_does_not_compress_is_enough(site, without):
    primary = site.primary()
    hub = site.relay(primary, "hub", link={"compression": "none" if without == "hub" else "zstd"})
    edge = site.relay(hub, "edge", link={"compression": "none" if without == "edge" else "zstd"})
    before = sent_by(hub)
    done = run_basebackup(site, edge, site.directory / "tar", "-F", "tar", "-X", "none")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: sent_by(hub) - before > (site.directory / "tar/base.tar").stat().st_size)


@pytest.mark.parametrize("victim", ["primary", "hub"])
def test_one_that_is_broken_off_says_so(site, victim):
    primary = site.primary()
    pgbench_init(primary, scale=3)
    hub, edge = tree(site, primary)
    backup = site.add(Process("backup", site.directory / "backup"))
    backup.spawn([site.client_bin / "pg_basebackup", "-d", edge.conninfo(), "-D", "data", "-c",
                  "fast", "--no-sync", "-X", "none", "-r", "4M"])
    partial = site.directory / "backup" / "data" / "base"
    wait_until(partial.exists, what="the backup to come")
    {"primary": primary, "hub": hub}[victim].kill9()
    assert backup.process.wait(60) != 0
    # What pg_basebackup makes of an error in the middle, and no whole directory.
    assert re.search(r"error: .*(COPY stream ended|connection|shutting down)", backup.log_text())
    assert not partial.exists()
    {"primary": primary, "hub": hub}[victim].start()
    edge.wait_ready()
    hub.wait_ready()
    done = run_basebackup(site, edge, site.directory / "again", "-X", "none")
    assert done.returncode == 0, done.stderr
