"""PostgreSQL's own clients work against the relay unmodified."""
import subprocess

import pytest

from support.load import assert_same_rows, pgbench_init
from support.wait import wait_until
from support.wal import assert_same_wal, segment_name, segments


def run(site, program, *arguments, deadline=120):
    return subprocess.run([site.client_bin / program, *map(str, arguments)], capture_output=True,
                          text=True, timeout=deadline, check=False)


def test_pg_receivewal_with_a_slot_resumes_where_it_left(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    archive = site.receivewal(relay, "archive", arguments=["--slot", "archive"], start=False)
    made = run(site, "pg_receivewal", "-d", relay.conninfo(), "--create-slot", "--slot", "archive")
    assert made.returncode == 0, made.stderr
    again = run(site, "pg_receivewal", "-d", relay.conninfo(), "--create-slot", "--slot", "archive")
    assert 'replication slot "archive" already exists' in again.stderr
    accepted = run(site, "pg_receivewal", "-d", relay.conninfo(), "--create-slot", "--if-not-exists",
                   "--slot", "archive")
    assert accepted.returncode == 0, accepted.stderr

    archive.start()
    wait_until(lambda: relay.standby_count() == 1)
    for _ in range(3):
        end = primary.switch_wal()
        last = segment_name(1, end - 1, primary.wal_segment_bytes)
        wait_until(lambda name=last: name in segments(archive.wal))
        archive.terminate(deadline=10)
        primary.switch_wal()
        archive.start()
    end = primary.switch_wal()
    last = segment_name(1, end - 1, primary.wal_segment_bytes)
    wait_until(lambda: last in segments(archive.wal))
    compared = assert_same_wal(archive.wal, primary.pg_wal, end, primary.wal_segment_bytes)
    numbers = [int(name[8:16], 16) << 12 | int(name[16:], 16) for name in compared]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "a segment is missing"

    archive.terminate(deadline=10)
    dropped = run(site, "pg_receivewal", "-d", relay.conninfo(), "--drop-slot", "--slot", "archive")
    assert dropped.returncode == 0, dropped.stderr


@pytest.mark.parametrize("method", ["stream", "fetch"])
def test_pg_basebackup_makes_a_standby(site, method):
    from support.postgres import Postgres
    primary = site.primary()
    pgbench_init(primary)
    relay = site.relay(primary)
    load = site.pgbench(primary, init=False)
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(relay.conninfo(application_name="standby"), "-X", method, "-R")
    load.stop()

    settings = (standby.data / "postgresql.auto.conf").read_text()
    assert f"port={relay.port}" in settings
    checked = run(site, "pg_verifybackup", "-n", standby.data)
    assert "backup successfully verified" in checked.stdout or "postgresql.conf" in checked.stderr
    standby.start()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    wait_until(lambda: primary.walsenders() == ["relay"], what="the backup's connection to be gone")


def test_pg_basebackup_as_tar_with_a_manifest(site):
    primary = site.primary()
    relay = site.relay(primary)
    target = site.directory / "tar"
    done = run(site, "pg_basebackup", "-d", relay.conninfo(), "-D", target, "-F", "tar", "-z",
               "-X", "stream", "-c", "fast", "--no-sync", "-P")
    assert done.returncode == 0, done.stderr
    assert {"base.tar.gz", "backup_manifest", "pg_wal.tar.gz"} <= {
        entry.name for entry in target.iterdir()}


def test_a_basebackup_that_is_broken_off_leaves_nothing(site):
    primary = site.primary()
    pgbench_init(primary, scale=5)
    relay = site.relay(primary)
    from support.process import Process
    backup = site.add(Process("backup", site.directory / "backup"))
    # Without a process for its WAL, which would keep the killed one's connection open.
    backup.spawn([site.client_bin / "pg_basebackup", "-d", relay.conninfo(), "-D", "data", "-c",
                  "fast", "--no-sync", "-r", "1M", "-X", "none"])
    wait_until(lambda: len(primary.walsenders()) == 2, what="the backup to reach the primary")
    backup.kill9()
    wait_until(lambda: primary.walsenders() == ["relay"], what="the primary to be rid of it")
    assert relay.is_ready()


def test_psql_speaks_replication_commands(site):
    primary = site.primary()
    relay = site.relay(primary)
    done = run(site, "psql", "-XAt", "-d", relay.conninfo(replication="true", dbname="postgres"),
               "-c", "IDENTIFY_SYSTEM", "-c", "SHOW wal_segment_size")
    assert done.returncode == 0, done.stderr
    system, timeline, position, database = done.stdout.splitlines()[0].split("|")
    assert system == str(primary.value("SELECT system_identifier FROM pg_control_system()"))
    assert (timeline, database) == ("1", "")
    assert "/" in position
    assert done.stdout.splitlines()[1] == "16MB"


def test_pg_isready_and_plain_sql(site):
    primary = site.primary()
    relay = site.relay(primary)
    ready = run(site, "pg_isready", "-h", "127.0.0.1", "-p", relay.port)
    assert ready.returncode == 0, ready.stdout
    done = run(site, "psql", "-XAt", "-d", relay.conninfo(dbname="postgres"), "-c", "SELECT 1")
    assert done.returncode == 2
    assert "relay" in done.stderr and "HINT" in done.stderr


def test_pg_rewind_is_sent_to_the_primary(site):
    primary = site.primary(wal_log_hints="on")
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    standby.stop()
    done = run(site, "pg_rewind", "-D", standby.data, "--source-server",
               relay.conninfo(dbname="postgres"))
    assert done.returncode == 1
    assert "relay" in done.stderr and "HINT" in done.stderr, done.stderr
