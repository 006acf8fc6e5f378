"""Pins: WAL is kept for a standby that is not there yet, by way of the console."""
import shutil

from support.load import assert_same_rows
from support.pins import console_relay, write
from support.relay import run_cli
from support.wait import wait_until
from support.wal import format_lsn, parse_lsn

MB = 1 << 20


def pin(relay, *arguments):
    return run_cli("pin", *arguments, "-d", f"{relay.conninfo()}")


def oldest(relay):
    return int(relay.metric("spool_oldest_lsn_bytes"))


def test_a_standby_from_a_snapshot_finds_its_wal(site):
    """pg_control of a stopped standby, and what it needs when it is started much later."""
    primary = site.primary(wal_segsize=1)
    relay = console_relay(site, primary, retain_size="64MB")
    donor = site.standby(primary, relay, "donor")
    write(primary, "a")
    donor.catch_up(primary)
    donor.stop()
    snapshot = site.standby(primary, relay, "snapshot", start=False)
    shutil.rmtree(snapshot.data)
    shutil.copytree(donor.data, snapshot.data)
    done = pin(relay, "add", "snap-1", "--pgdata", snapshot.data, "--for", "3d")
    assert (done.returncode, done.stderr) == (0, "")
    held, = relay.status()["pins"]
    redo = parse_lsn(held["lsn"])
    assert held["name"] == "snap-1" and held["lost"] is False and held["expires"] is not None

    relay.configure("spool", retain_size="1MB")
    relay.reload()
    for table in "bcdefg":
        end = write(primary, table)
    relay.wait_flushed(end)
    wait_until(lambda: relay.status()["spool"]["horizon_reason"] == 'pin "snap-1"', 60)
    assert oldest(relay) <= redo
    relay.stop()
    relay.start()
    listed = pin(relay, "list")
    assert listed.returncode == 0 and "snap-1" in listed.stdout
    assert format_lsn(redo) in listed.stdout
    snapshot.configure()
    snapshot.follow(relay.conninfo(application_name="snapshot"))
    snapshot.start()
    snapshot.catch_up(primary)
    assert_same_rows(primary, snapshot, ["a", "g"])
    assert "is wanted and not held" not in relay.log_text()

    assert pin(relay, "drop", "snap-1").returncode == 0
    assert pin(relay, "drop", "snap-1").returncode == 1
    assert relay.status()["pins"] == []
    relay.wait_flushed(write(primary, "h"))
    wait_until(lambda: oldest(relay) > redo, 60, "the WAL of the pin to go")


def test_what_is_wrong_is_told(site):
    primary = site.primary()
    relay = console_relay(site, primary)
    assert pin(relay, "add", "a", "--lsn", "0/1000000").returncode == 0
    again = pin(relay, "add", "a", "--lsn", "0/1000000")
    assert again.returncode == 1 and 'pin "a" already exists' in again.stderr
    for arguments in (["add"], ["add", "b", "--lsn", "x"], ["add", "b", "--for", "soon"],
                      ["add", "b", "--pgdata", site.directory], ["list", "b"], ["keep", "b"],
                      ["add", "b", "--lsn", "0/1", "--pgdata", primary.data]):
        assert pin(relay, *arguments).returncode == 2, arguments
    assert pin(relay, "add", "b").returncode == 0, "from the last checkpoint"
    assert [row["name"] for row in relay.status()["pins"]] == ["a", "b"]


def test_it_ends_at_its_time(site):
    primary = site.primary()
    relay = console_relay(site, primary)
    assert pin(relay, "add", "short", "--lsn", "0/1000000", "--for", "1s").returncode == 0
    relay.wait_for_log('the time of pin "short" at 0/1000000 is over, it is dropped')
    wait_until(lambda: relay.status()["pins"] == [], 30)


def test_it_yields_to_max_size_alone(site):
    primary = site.primary(wal_segsize=1)
    relay = console_relay(site, primary, max_size="8MB")
    begin = format_lsn(relay.flushed_lsn())
    assert pin(relay, "add", "large", "--lsn", begin).returncode == 0
    for table in "abcdefgh":
        relay.wait_flushed(write(primary, table))
    relay.wait_for_log('pin "large" needs WAL from .* it will be lost')
    relay.wait_for_log('pin "large" is lost: max_size takes WAL')
    held, = relay.status()["pins"]
    assert held["lost"] is True and held["retained_bytes"] == 0
