"""A primary and standbys of one PostgreSQL version stream through the relay, reconnect, and stop."""
import time

import pytest

from support.load import assert_same_rows
from support.replication import command
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

    began = time.monotonic()
    primary.stop()
    assert time.monotonic() - began < 10
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
    from support.postgres import Postgres, major_version
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
