"""A primary and standbys of one PostgreSQL version stream through the relay, reconnect, and stop."""
import pytest

from support.backup import (INCREMENTAL_PREFIX, base_backup, combine, files_of, upload_manifest,
                            write_files)
from support.load import assert_same_rows
from support.postgres import Postgres, major_version
from support.replication import Stream, command
from support.wait import wait_until
from support.wal import assert_same_wal

pytestmark = pytest.mark.any_version


def test_stream_reconnect_promote_and_stop(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    command(relay, "CREATE_REPLICATION_SLOT kept PHYSICAL RESERVE_WAL")
    standby = site.standby(primary, relay, "standby", slot="kept")
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (3 << 20))

    relay.kill9()
    relay.start()
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    standby.restart()
    relay.wait_received(primary.flush_lsn() + (1 << 20))
    load.stop()
    primary.restart()
    relay.wait_ready()

    end = primary.switch_wal()
    relay.wait_flushed(end)
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes, at_least=3)

    primary.stop(deadline=30)
    relay.stop()
    standby.stop()


def test_a_promoted_upstream_is_followed(site):
    primary = site.primary(wal_segsize=1)
    upstream = site.standby(primary, primary, "upstream")
    relay = site.relay(upstream)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    upstream.catch_up(primary)
    standby.catch_up(primary)
    primary.stop()
    upstream.promote()
    upstream.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    standby.catch_up(upstream)
    assert_same_rows(upstream, standby, ["t"])
    wait_until(lambda: relay.metric("timeline") == 2)


def test_a_base_backup_passes_through(site):
    """With the client of the machine's own version, which serves servers up to its own."""
    if major_version(site.bin_dir) > major_version(site.client_bin):
        pytest.skip("pg_basebackup is older than this server")
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(relay.conninfo(application_name="standby"), "-X", "stream",
                       client_bin=site.client_bin)
    standby.follow(relay.conninfo(application_name="standby")).start()
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])


def needs_incremental_backups(site):
    if major_version(site.bin_dir) < 17:
        pytest.skip("PostgreSQL 17 brought incremental backups")


def test_an_incremental_backup_passes_through(site):
    """UPLOAD_MANIFEST and the BASE_BACKUP after it reach the same server process."""
    needs_incremental_backups(site)
    primary = site.primary(summarize_wal="on")
    relay = site.relay(primary)
    primary.execute("CREATE TABLE t AS SELECT a, repeat('x', 200) AS b FROM "
                    "generate_series(1, 20000) AS a")
    full = base_backup(Stream(relay.conninfo()))
    primary.execute("UPDATE t SET b = 'changed' WHERE a % 1000 = 0")
    primary.execute("CREATE TABLE later AS SELECT generate_series(1, 1000) AS a")

    stream = Stream(relay.conninfo())
    upload_manifest(stream, full["backup_manifest"])
    changes = base_backup(stream, ", INCREMENTAL")
    assert len(changes["base.tar"]) < len(full["base.tar"]) / 2
    files = files_of(changes["base.tar"])
    assert any(INCREMENTAL_PREFIX in path for path in files)

    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    write_files(combine(files_of(full["base.tar"]), files), standby.data)
    standby.configure()
    standby.follow(relay.conninfo(application_name="standby")).start()
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t", "later"])


def test_an_incremental_backup_without_its_manifest_is_refused(site):
    needs_incremental_backups(site)
    relay = site.relay(site.primary(summarize_wal="on"))
    with pytest.raises(ConnectionError, match="must UPLOAD_MANIFEST before performing"):
        base_backup(Stream(relay.conninfo()), ", INCREMENTAL")
    stream = Stream(relay.conninfo())
    with pytest.raises(ConnectionError, match="could not parse backup manifest"):
        upload_manifest(stream, b"no manifest")


def test_the_synchronisation_of_slots_is_refused_and_streaming_goes_on(site):
    """It speaks SQL to what primary_conninfo names, with a database."""
    if major_version(site.bin_dir) < 17:
        pytest.skip("PostgreSQL 17 brought the synchronisation of slots")
    primary = site.primary(wal_level="logical")
    relay = site.relay(primary)
    command(relay, "CREATE_REPLICATION_SLOT kept PHYSICAL RESERVE_WAL")
    standby = site.standby(primary, relay, "standby", slot="kept", start=False)
    standby.follow(relay.conninfo(application_name="standby", dbname="postgres"), "kept",
                   hot_standby_feedback="on", sync_replication_slots="on")
    standby.start()
    standby.wait_for_log("is a relay for WAL and serves no SQL sessions\\s+HINT: ")
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])
