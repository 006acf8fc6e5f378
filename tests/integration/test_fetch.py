"""walrelay fetch as restore_command: whole files or none, and what its exit codes tell."""
import shutil
import subprocess

from support.load import assert_same_rows
from support.ports import free_port
from support.relay import binary, run_cli
from support.wait import wait_until
from support.wal import parse_lsn, segment_name as name_of_segment

MB = 1 << 20
ROWS = "SELECT generate_series(1, 20000) AS a, 'some text to fill segments' AS b"


def segment_name(timeline, number):
    """Of segments of a megabyte."""
    return name_of_segment(timeline, number * MB, MB)


def fetch(relay, name, path, *options):
    return run_cli("fetch", "-d", relay.conninfo(), *options, name, path)


def restore_command(relay):
    return f"'{binary()} fetch -d \"{relay.conninfo().replace(chr(39), chr(39) * 2)}\" %f %p'"


def test_a_segment_comes_whole_or_not_at_all(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    first = primary.flush_lsn() // MB
    primary.execute(f"CREATE TABLE t AS {ROWS}")
    end = primary.switch_wal()
    primary.execute("CREATE TABLE u AS SELECT 1 AS a")
    relay.wait_flushed(primary.flush_lsn())
    for number in range(first, end // MB):
        name = segment_name(1, number)
        path = site.directory / name
        done = fetch(relay, name, path)
        assert done.returncode == 0, done.stderr
        assert path.read_bytes() == (primary.pg_wal / name).read_bytes()
    done = run_cli("fetch", "-c", relay.config_file, segment_name(1, first),
                   site.directory / "by_file")
    assert done.returncode == 0, done.stderr

    path = site.directory / "none"
    growing = segment_name(1, end // MB)
    for name in (growing, segment_name(1, end // MB + 7), growing + ".partial",
                 segment_name(1, 0), segment_name(2, first), "00000001.history",
                 "00000002.history", segment_name(1, first) + ".00000028.backup", "x"):
        done = fetch(relay, name, path, "--strict")
        assert (done.returncode, done.stderr) == (1, ""), name
    assert not path.exists() and not list(site.directory.glob("*.tmp"))
    done = fetch(relay, segment_name(1, first), site.directory / "nowhere" / "file", "--help")
    assert done.returncode == 0 and "restore_command" in done.stdout
    assert run_cli("fetch", "-d", relay.conninfo(), growing).returncode == 2


def test_history_and_the_last_part_of_a_timeline(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    second = site.standby(primary, primary, "second")
    primary.execute(f"CREATE TABLE t AS {ROWS}")
    second.catch_up(primary)
    relay.wait_flushed(primary.flush_lsn())
    primary.stop()
    second.promote()
    relay.configure("upstream", conninfo=second.conninfo())
    relay.reload()
    second.execute("CREATE TABLE u AS SELECT 1 AS a")
    end = second.switch_wal()
    relay.wait_flushed(end)
    history = (second.pg_wal / "00000002.history").read_bytes()
    path = site.directory / "fetched"
    assert fetch(relay, "00000002.history", path).returncode == 0
    assert path.read_bytes() == history
    fork = parse_lsn(history.decode().split("\t")[1])
    number = fork // MB
    assert fork % MB != 0

    old, new = segment_name(1, number), segment_name(2, number)
    path.unlink()
    assert fetch(relay, old, path).returncode == 1
    assert fetch(relay, new + ".partial", path).returncode == 1
    assert fetch(relay, segment_name(1, number - 1) + ".partial", path).returncode == 1
    assert not path.exists()
    assert fetch(relay, segment_name(1, number - 1), path).returncode == 0
    assert path.read_bytes() == (second.pg_wal / segment_name(1, number - 1)).read_bytes()
    assert fetch(relay, new, path).returncode == 0
    assert path.read_bytes() == (second.pg_wal / new).read_bytes()
    assert fetch(relay, old + ".partial", path).returncode == 0
    held = path.read_bytes()
    assert held[:fork % MB] == (primary.pg_wal / old).read_bytes()[:fork % MB]
    assert not any(held[fork % MB:]) and len(held) == MB


def test_a_standby_recovers_by_fetch_alone_and_bears_a_relay_that_restarts(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby", start=False)
    standby.configure(primary_conninfo="''", primary_slot_name="''",
                      wal_retrieve_retry_interval="200ms", restore_command=restore_command(relay))
    primary.execute(f"CREATE TABLE one AS {ROWS}")
    relay.wait_flushed(primary.switch_wal())
    standby.start()
    relay.stop()
    primary.execute(f"CREATE TABLE two AS {ROWS}")
    end = primary.switch_wal()
    relay.start()
    relay.wait_flushed(end)
    wait_until(lambda: standby.replay_lsn() >= end, 90, "the standby to replay what was fetched")
    assert_same_rows(primary, standby, ["one", "two"])


def test_a_relay_that_cannot_be_reached(site):
    conninfo = f"host=127.0.0.1 port={free_port()} user=replicator"
    path = site.directory / "none"
    tries = {code: subprocess.Popen(
        [binary(), "fetch", "-d", conninfo, *options, segment_name(1, 1), path],
        stderr=subprocess.PIPE, text=True) for options, code in [([], 2), (["--strict"], 255)]}
    for code, process in tries.items():
        said = process.communicate(timeout=120)[1]
        assert process.returncode == code
        assert "Connection refused" in said and said.startswith("walrelay fetch: 0000")
    assert not path.exists()


KEEPS_LITTLE = {"wal_keep_size": "0", "min_wal_size": "2MB", "wal_log_hints": "on"}


def rewind(server, source, *options):
    return subprocess.run(
        [server.bin_dir / "pg_rewind", "-D", server.data, "--source-server",
         source.conninfo(dbname="postgres"), "--no-ensure-shutdown", *options],
        capture_output=True, text=True, timeout=120, check=False)


def test_pg_rewind_gets_the_old_timelines_wal(site):
    """The old primary no longer has its WAL from the last common checkpoint on."""
    primary = site.primary(wal_segsize=1, **KEEPS_LITTLE)
    relay = site.relay(primary)
    second = site.standby(primary, primary, "second")
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    primary.execute("CHECKPOINT")
    primary.execute(f"CREATE TABLE u AS {ROWS}")
    primary.switch_wal()
    second.catch_up(primary)
    relay.wait_flushed(primary.flush_lsn())
    second.promote()
    second.execute("INSERT INTO t VALUES (2)")
    relay.configure("upstream", conninfo=second.conninfo())
    relay.reload()
    relay.wait_flushed(second.flush_lsn())
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    primary.execute("INSERT INTO t VALUES (3)")
    primary.stop()
    second.execute("CHECKPOINT")

    primary.configure(restore_command=restore_command(relay))
    failed = rewind(primary, second, "--dry-run")
    assert failed.returncode != 0 and "could not" in failed.stderr, failed.stderr
    done = rewind(primary, second, "-c")
    assert done.returncode == 0, done.stderr
    primary.configure()
    primary.follow(relay.conninfo(application_name="primary"))
    primary.start()
    primary.catch_up(second)
    assert_same_rows(second, primary, ["t", "u"])


def promote_behind(primary, relay, second):
    """The relay has whole segments of timeline 1 when it comes to follow second, which lacks them.
    Returns their names, the fork's first."""
    primary.execute(f"CREATE TABLE t AS {ROWS}")
    second.catch_up(primary)
    second.promote()
    primary.execute(f"CREATE TABLE lost AS {ROWS}")
    relay.wait_flushed(primary.switch_wal())
    end = relay.flushed_lsn()
    relay.configure("upstream", conninfo=second.conninfo())
    relay.reload()
    second.execute(f"CREATE TABLE u AS {ROWS}")
    relay.wait_flushed(second.switch_wal())
    fork = parse_lsn((second.pg_wal / "00000002.history").read_text().split("\t")[1])
    names = [segment_name(1, number) for number in range(fork // MB, end // MB)]
    assert len(names) > 2
    return names


def test_a_standby_that_fetches_is_not_led_past_a_fork(site):
    """It does not know yet of the new timeline, and would replay whatever it is given of the old."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    second = site.standby(primary, primary, "second")
    standby = site.standby(primary, relay, "standby", start=False)
    standby.configure(primary_conninfo="''", primary_slot_name="''",
                      wal_retrieve_retry_interval="200ms", restore_command=restore_command(relay))
    primary.execute(f"CREATE TABLE one AS {ROWS}")
    end = primary.switch_wal()
    relay.wait_flushed(end)
    standby.start()
    wait_until(lambda: standby.replay_lsn() >= end, what="the standby to replay what there is")
    standby.execute("SELECT pg_wal_replay_pause()")
    wait_until(lambda: standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused",
               what="replay to pause")
    path = site.directory / "none"
    for name in promote_behind(primary, relay, second):
        assert (relay.spool / name).read_bytes() == (primary.pg_wal / name).read_bytes()
        assert fetch(relay, name, path).returncode == 1, name
    end = second.insert_lsn()
    standby.execute("SELECT pg_wal_replay_resume()")
    relay.wait_flushed(second.switch_wal())
    wait_until(lambda: standby.replay_lsn() >= end, 90, "the standby to replay the new timeline")
    assert_same_rows(second, standby, ["one", "t", "u"])
    assert standby.value("SELECT to_regclass('lost')") is None


def test_what_is_past_the_fork_can_be_copied_for_pg_rewind(site):
    """As README has it: whole segments that the old primary has removed, out of the relay's wal/."""
    primary = site.primary(wal_segsize=1, **KEEPS_LITTLE)
    relay = site.relay(primary)
    second = site.standby(primary, primary, "second")
    names = promote_behind(primary, relay, second)
    primary.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    primary.execute("CHECKPOINT")
    primary.stop()

    def has_removed_the_forks():
        second.execute("CHECKPOINT")
        return not (second.pg_wal / names[0].replace("00000001", "00000002", 1)).exists()
    wait_until(has_removed_the_forks, what="the new primary to remove the fork's segment")
    primary.configure(restore_command=restore_command(relay))
    removed = [name for name in names if not (primary.pg_wal / name).exists()]
    assert removed
    failed = rewind(primary, second, "-c", "--dry-run")
    assert failed.returncode != 0 and removed[0] in failed.stderr, failed.stderr
    for name in removed:
        shutil.copy(relay.spool / name, primary.pg_wal / name)
    done = rewind(primary, second, "-c")
    assert done.returncode == 0, done.stderr
    # pg_rewind has brought the other server's configuration.
    primary.configure(restore_command=restore_command(relay))
    primary.follow(relay.conninfo(application_name="primary"))
    primary.start()
    primary.catch_up(second)
    assert_same_rows(second, primary, ["t", "u"])
    assert primary.value("SELECT to_regclass('lost')") is None
