"""A full spool disk: receiving stops, serving goes on, nothing acknowledged is lost, and it goes on
by itself when there is room."""
import os

import pytest

from support.load import assert_same_rows, write_wal
from support.replication import command
from support.wait import wait_until
from support.wal import assert_same_wal

pytestmark = pytest.mark.xdist_group("small_disk")


def test_it_stops_receiving_and_resumes_by_itself(site, small_disk):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, start=False, spool={"min_free": "8MB", "retain_size": "4MB"})
    relay.data_dir = small_disk / "data"
    relay.configure("relay", data_dir=relay.data_dir).start()
    command(relay, "CREATE_REPLICATION_SLOT holder PHYSICAL RESERVE_WAL")  # what holds the spool
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)

    write_wal(primary, 110)
    wait_until(lambda: relay.get("/readyz")[0] == 503, what="the relay to say that it is full")
    assert "full" in relay.get("/readyz")[1] or "min_free" in relay.get("/readyz")[1]
    room = os.statvfs(small_disk)
    assert room.f_bavail * room.f_frsize > 4 << 20, "min_free was not kept"
    acknowledged = primary.value("SELECT restart_lsn - '0/0' FROM pg_replication_slots")

    # It is killed while full: what it acknowledged is there, and it still serves.
    relay.kill9()
    relay.start(wait=False)
    wait_until(lambda: relay.get("/healthz")[0] == 200, what="the relay to serve")
    assert relay.flushed_lsn() >= acknowledged
    wait_until(lambda: relay.standby_count() == 1, what="the standby to be served")
    fresh = site.receivewal(relay, "fresh", arguments=["--slot", "holder"])
    wait_until(lambda: any(fresh.wal.iterdir()), what="a newcomer to be served")
    fresh.kill9()

    # Room returns: the slot goes.
    command(relay, "DROP_REPLICATION_SLOT holder WAIT")
    relay.wait_ready()
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["filler"])
    end = primary.switch_wal()
    relay.wait_flushed(end)
    assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes)


def test_a_disk_that_somebody_else_fills(site, small_disk):
    """Even min_free cannot help when another program takes the last byte."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, start=False, spool={"min_free": "1MB", "retain_size": "4MB"})
    relay.data_dir = small_disk / "data"
    relay.configure("relay", data_dir=relay.data_dir).start()
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)

    hog = small_disk / "hog"
    file = os.open(hog, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, b"x" * (1 << 16))
    except OSError:
        os.close(file)
    write_wal(primary, 20)
    wait_until(lambda: relay.get("/readyz")[0] == 503, what="the relay to say that it is full")
    assert relay.is_running
    hog.unlink()
    relay.wait_ready()
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["filler"])
