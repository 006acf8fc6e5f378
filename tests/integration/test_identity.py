"""WAL of another cluster, other WAL of the same one, or WAL with a hole is never served on."""
import shutil

from support.load import assert_same_rows, write_wal
from support.replication import command
from support.wait import holds_for, wait_until


def follow_instead(relay, other):
    relay.configure("upstream", conninfo=other.conninfo())
    return relay.reload()


def serves(relay, system, position):
    row = command(relay, "IDENTIFY_SYSTEM")[0]
    return row[0] == system and row[2] == position


def test_another_cluster_is_refused_and_serving_goes_on(site):
    primary = site.primary()
    stranger = site.primary("stranger", fresh=True)
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    primary.stop()
    system, _, position, _ = command(relay, "IDENTIFY_SYSTEM")[0]
    before = follow_instead(relay, stranger)
    relay.wait_for_log("(?i)system identifier", before)
    assert relay.get("/readyz")[0] == 503 and "identifier" in relay.get("/readyz")[1]
    holds_for(lambda: serves(relay, system, position), 2)
    assert relay.standby_count() == 1

    primary.start()
    follow_instead(relay, primary)
    relay.wait_ready()
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])


def test_two_histories_of_one_cluster(site):
    """A copy of the primary went its own way on the same timeline: same identifier, same positions,
    other bytes."""
    primary = site.primary()
    primary.stop()
    from support.postgres import Postgres
    twin = site.add(Postgres("twin", site.directory / "twin", site.bin_dir))
    shutil.copytree(primary.data, twin.data)
    twin.configure()
    primary.start()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE ours AS SELECT generate_series(1, 1000) AS a")
    standby.catch_up(primary)
    primary.stop()

    twin.start()
    twin.execute("CREATE TABLE theirs (a int)")
    write_wal(twin, 40)  # past where the relay is
    system, _, position, _ = command(relay, "IDENTIFY_SYSTEM")[0]
    before = follow_instead(relay, twin)
    relay.wait_for_log(r"(?i)diverged at [0-9A-F]+/[0-9A-F]+", before)
    assert "diverged" in relay.get("/readyz")[1]
    holds_for(lambda: serves(relay, system, position), 2)
    assert standby.value("SELECT count(*) FROM ours") == 1000
    assert standby.value("SELECT to_regclass('theirs') IS NULL")


def test_a_gap_stops_the_upstream_half_only(site):
    """The slot is dropped while the relay is away, and the WAL goes."""
    primary = site.primary(wal_segsize=1, wal_keep_size="0", min_wal_size="2MB", max_wal_size="2MB")
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE before AS SELECT 1 AS a")
    standby.catch_up(primary)
    relay.stop()
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    for _ in range(10):
        primary.switch_wal()
        primary.execute("CHECKPOINT")
    relay.start(wait=False)
    wait_until(lambda: relay.get("/readyz")[0] == 503)
    relay.wait_for_log('ERROR.*upstream has lost slot "walrelay_relay" and no longer has the WAL')
    assert "no longer has the WAL" in relay.get("/readyz")[1]
    wait_until(lambda: relay.standby_count() == 1, what="the standby to be served what there is")
    assert_same_rows(primary, standby, ["before"])
    # The lost slot is not made anew behind everybody's back.
    assert primary.execute("SELECT * FROM pg_replication_slots") == []


def test_the_primarys_wal_size_without_a_limit_is_warned_about(site):
    relay = site.relay(site.primary())
    relay.wait_for_log("WARNING.*max_slot_wal_keep_size")
    limited = site.primary("limited", max_slot_wal_keep_size="10GB")
    other = site.relay(limited, "other")
    assert "max_slot_wal_keep_size" not in other.log_text()
