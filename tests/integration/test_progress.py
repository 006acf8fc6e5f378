"""Long things say how far they are: base backups that pass, standbys and edges that catch up."""
import subprocess

from support.load import pgbench_init, write_wal
from support.process import Process
from support.wait import wait_until

MB = 1 << 20


def standby_of(relay, state):
    return next((each for each in relay.status()["standbys"] if each["state"] == state), None)


def measured_backup(relay):
    """The progress of the backup under way, once its pace is known."""
    found = (standby_of(relay, "backup") or {}).get("backup") or {}
    return found if found.get("bytes_per_second") else None


def test_a_base_backup_shows_how_far_it_is(site):
    primary = site.primary()
    pgbench_init(primary, scale=3)
    hub = site.relay(primary, "hub")
    edge = site.relay(hub, "edge")
    client = site.add(Process("basebackup", site.directory / "basebackup"))
    client.spawn([site.client_bin / "pg_basebackup", "-d", edge.conninfo(), "-D",
                  site.directory / "copy", "-c", "fast", "-X", "none", "-P", "-r", "4M", "--no-sync"])
    size = int(primary.value("SELECT sum(pg_database_size(oid)) FROM pg_database"))
    for relay in (edge, hub):
        first = wait_until(lambda r=relay: measured_backup(r), 60, f"a backup through {relay.name}")
        assert first["phase"] == "streaming database files"
        assert size <= first["total_bytes"] < 2 * size + 32 * MB
        assert 0 < first["done_bytes"] < first["total_bytes"]
        assert 0 < first["seconds_left"]
        wait_until(lambda r=relay, done=first["done_bytes"]: measured_backup(r)["done_bytes"] > done)
    assert client.is_running, "it has not been waited out"
    client.kill9()
    for relay in (edge, hub):
        wait_until(lambda r=relay: standby_of(r, "backup") is None)


def test_one_without_progress_has_no_total(site):
    primary = site.primary()
    relay = site.relay(primary)
    client = site.add(Process("basebackup", site.directory / "basebackup"))
    client.spawn([site.client_bin / "pg_basebackup", "-d", relay.conninfo(), "-D",
                  site.directory / "copy", "-c", "fast", "-X", "none", "-r", "2M", "--no-sync",
                  "--no-estimate-size"])
    found = wait_until(lambda: measured_backup(relay), 60)
    assert found["done_bytes"] > 0 and found["total_bytes"] is None
    assert found["seconds_left"] is None
    client.kill9()


def is_catching_up(behind, rate, seconds):
    return bool(behind and rate and seconds)


def test_an_edge_that_catches_up_says_how_far_and_how_long(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", spool={"retain_size": "1GB"}, **{
        "destination far": {"match": "application edge", "rate_cap": "40Mbit/s"}})
    edge = site.relay(hub, "edge", link={"compression": "none"})
    edge.stop()
    write_wal(primary, 200)
    hub.wait_received(primary.flush_lsn())
    edge.start(wait=False)

    def at_the_hub():
        (standby,) = hub.status()["standbys"]
        assert standby["state"] == "catchup"
        return standby["lag_bytes"], standby["wal_bytes_per_second"], standby["catch_up_seconds"]

    def at_the_edge():
        upstream = edge.status()["upstream"]
        return (upstream["behind_bytes"], upstream["wal_bytes_per_second"],
                upstream["catch_up_seconds"])

    for look in (at_the_hub, at_the_edge):
        behind, rate, seconds = wait_until(lambda l=look: is_catching_up(*l()) and l(), 60)
        assert 0.5 < behind / rate / seconds < 2
        wait_until(lambda l=look, before=behind: l()[0] < before)
