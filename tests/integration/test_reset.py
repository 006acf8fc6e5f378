"""`walrelay reset`: a new range after a gap, another cluster, and nothing lost by either."""
import re

from support.relay import run_cli
from support.replication import command
from support.wal import format_lsn, parse_lsn, segments


def position(relay):
    return parse_lsn(command(relay, "IDENTIFY_SYSTEM")[0][2])


def make_gap(primary):
    """Lets go of the WAL that the relay wants next."""
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    for _ in range(10):
        primary.switch_wal()
        primary.execute("CHECKPOINT")


def small_primary(site):
    return site.primary(wal_segsize=1, wal_keep_size="0", min_wal_size="2MB", max_wal_size="2MB")


def test_a_running_relay_is_left_alone(site):
    relay = site.relay(site.primary())
    for arguments in (["--yes"], ["--new-system", "--yes"], ["--from", "1/0", "--yes"]):
        done = run_cli("reset", "-c", relay.config_file, *arguments)
        assert done.returncode == 2
        assert f"is held by process {relay.process.pid}" in done.stderr, done.stderr
    assert relay.get("/readyz")[0] == 200


def test_a_new_range_from_an_lsn(site):
    primary = small_primary(site)
    relay = site.relay(primary)
    primary.switch_wal()
    relay.wait_flushed(primary.flush_lsn())
    held_to = position(relay)
    relay.stop()
    held = segments(relay.spool)
    make_gap(primary)

    nearer = run_cli("reset", "-c", relay.config_file, "--from", format_lsn(held_to - 1), "--yes")
    assert nearer.returncode == 2 and "there would be no gap" in nearer.stderr
    begin = primary.switch_wal()
    asked = run_cli("reset", "-c", relay.config_file, "--from", format_lsn(begin + 5),
                    text_input="no\n")
    assert asked.returncode == 1 and "Nothing was changed" in asked.stdout
    assert f"begins at {format_lsn(begin)}" in asked.stdout, asked.stdout
    done = run_cli("reset", "-c", relay.config_file, "--from", format_lsn(begin + 5),
                   text_input="yes\n")
    assert done.returncode == 0, done.stderr
    relay.start()
    relay.wait_received(primary.flush_lsn())
    assert set(held) <= set(segments(relay.spool))
    assert position(relay) >= begin


def test_another_cluster(site):
    primary = site.primary()
    relay = site.relay(primary)
    command(relay, "CREATE_REPLICATION_SLOT kept PHYSICAL RESERVE_WAL")
    relay.wait_flushed(primary.flush_lsn())
    system = command(relay, "IDENTIFY_SYSTEM")[0][0]
    relay.stop()
    held = {name: (relay.spool / name).read_bytes() for name in segments(relay.spool)}
    stranger = site.primary("stranger", fresh=True)
    relay.configure("upstream", conninfo=stranger.conninfo())

    done = run_cli("reset", "-c", relay.config_file, "--new-system", "--yes")
    assert done.returncode == 0, done.stderr
    assert system in done.stdout and "1 slots by name" in done.stdout
    aside = next(relay.data_dir.glob("wal.set-aside-*"))
    assert re.fullmatch(r"wal\.set-aside-\d{8}T\d{6}Z", aside.name)
    assert {name: (aside / name).read_bytes() for name in segments(aside)} == held
    assert len(list(relay.data_dir.glob("state.db.set-aside-*"))) == 1
    relay.start()
    assert command(relay, "IDENTIFY_SYSTEM")[0][0] != system
    relay.wait_received(stranger.flush_lsn())
    # The slot is there, and of a spool that began anew it holds nothing yet.
    assert command(relay, "READ_REPLICATION_SLOT kept")[0][:2] == ("physical", None)


def test_an_empty_spool_of_the_same_cluster(site):
    primary = small_primary(site)
    relay = site.relay(primary)
    system = command(relay, "IDENTIFY_SYSTEM")[0][0]
    relay.stop()
    make_gap(primary)
    done = run_cli("reset", "-c", relay.config_file, "--yes")
    assert done.returncode == 0, done.stderr
    relay.start()
    relay.wait_received(primary.flush_lsn())
    assert command(relay, "IDENTIFY_SYSTEM")[0][0] == system

    # Kept for good: another cluster is still refused.
    stranger = site.primary("stranger", fresh=True)
    relay.configure("upstream", conninfo=stranger.conninfo())
    before = relay.reload()
    relay.wait_for_log("(?i)system identifier", before)


def test_there_must_be_something_to_reset(site):
    relay = site.relay("host=127.0.0.1 port=1", start=False)
    done = run_cli("reset", "-c", relay.config_file, "--yes")
    assert done.returncode == 2 and "could not use data directory" in done.stderr
    relay.data_dir.mkdir(mode=0o700)
    done = run_cli("reset", "-c", relay.config_file, "--from", "1/0", "--yes")
    assert done.returncode == 2 and "the spool is empty" in done.stderr, done.stderr


def test_wrong_use(site):
    relay = site.relay("host=127.0.0.1 port=1", start=False)
    for arguments in (["--from", "here"], ["--from", "0/0"], ["--new-system", "--from", "1/0"],
                      ["more"]):
        done = run_cli("reset", "-c", relay.config_file, *arguments)
        assert done.returncode == 2 and done.stderr and not done.stdout, arguments
    assert not relay.data_dir.exists()
