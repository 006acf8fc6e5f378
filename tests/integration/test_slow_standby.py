"""A standby that stands still costs the relay disk, and nobody else anything."""
from support.load import assert_same_rows, write_wal
from support.replication import command
from support.wait import wait_until
from support.wal import directory_bytes


def test_a_stopped_standby_with_a_slot_is_held_by_the_spool_alone(site):
    primary = site.primary(wal_segsize=1, wal_keep_size="0", max_wal_size="8MB", min_wal_size="4MB")
    relay = site.relay(primary, spool={"retain_size": "4MB"})
    stopped = site.standby(primary, relay, "stopped", slot="stopped", start=False)
    command(relay, "CREATE_REPLICATION_SLOT stopped PHYSICAL RESERVE_WAL")
    stopped.start()
    other = site.standby(primary, relay, "other")
    stopped.catch_up(primary)

    stopped.disconnect()
    stopped.freeze()
    try:
        held_from = relay.metric("spool_oldest_lsn_bytes")
        for _ in range(10):
            write_wal(primary, 10)
            primary.execute("CHECKPOINT")
            other.catch_up(primary)
        wait_until(lambda: primary.execute("CHECKPOINT") is None
                   and directory_bytes(primary.pg_wal) < 30 << 20,
                   what="the primary to remove its WAL")
        assert relay.metric("slot_retained_bytes", slot="stopped") > 90 << 20
        assert relay.metric("spool_oldest_lsn_bytes") < held_from + (8 << 20)
        assert relay.metric("spool_bytes") > 90 << 20
    finally:
        stopped.thaw()
    stopped.catch_up(primary)
    assert_same_rows(primary, stopped, ["filler"])
    wait_until(lambda: directory_bytes(relay.spool) < 40 << 20,
               what="the spool to let go of what the slot held")


def test_one_stopped_standby_does_not_slow_another(site):
    primary = site.primary()
    relay = site.relay(primary)
    stopped = site.standby(primary, relay, "stopped")
    other = site.standby(primary, relay, "other")
    stopped.catch_up(primary)
    stopped.disconnect()
    stopped.freeze()
    try:
        write_wal(primary, 64)  # more than any socket buffer takes
        other.catch_up(primary)
        primary.execute("CREATE TABLE seen (n int)")
        primary.execute("INSERT INTO seen VALUES (1)")
        wait_until(lambda: other.value("SELECT count(*) FROM seen") == 1)
    finally:
        stopped.thaw()
    stopped.catch_up(primary)
