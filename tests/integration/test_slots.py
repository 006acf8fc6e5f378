"""The relay's own slots: durable or temporary, holding the spool and nothing on the primary."""
import re

import psycopg
import pytest

from support.console import show
from support.load import assert_same_rows, write_wal
from support.replication import Stream, command, connect
from support.wait import wait_until
from support.wal import parse_lsn


def small(site, retain="2MB"):
    primary = site.primary(wal_segsize=1, wal_keep_size="0")
    return primary, site.relay(primary, spool={"retain_size": retain})


def test_a_slot_reserves_from_the_last_checkpoint_on(site):
    primary, relay = small(site, retain="16MB")
    primary.execute("CHECKPOINT")
    redo = parse_lsn(primary.value("SELECT redo_lsn::text FROM pg_control_checkpoint()"))
    write_wal(primary, 3)
    relay.wait_flushed(primary.flush_lsn())
    assert command(relay, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL") == [
        ("s1", "0/0", None, None)]
    kind, restart_lsn, timeline = command(relay, "READ_REPLICATION_SLOT s1")[0]
    assert (kind, parse_lsn(restart_lsn), timeline) == ("physical", redo, 1)
    command(relay, "CREATE_REPLICATION_SLOT s2 PHYSICAL (RESERVE_WAL false)")
    assert command(relay, "READ_REPLICATION_SLOT s2") == [("physical", None, None)]
    assert command(relay, "READ_REPLICATION_SLOT nosuch") == [(None, None, None)]


def test_it_holds_the_spool_over_a_crash_until_it_is_dropped(site):
    primary, relay = small(site)
    command(relay, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL")
    reserved = parse_lsn(command(relay, "READ_REPLICATION_SLOT s1")[0][1])
    write_wal(primary, 12)
    relay.wait_flushed(primary.flush_lsn())
    relay.kill9()
    relay.start()
    write_wal(primary, 12)
    relay.wait_flushed(primary.flush_lsn())
    assert relay.metric("spool_oldest_lsn_bytes") <= reserved
    assert parse_lsn(command(relay, "READ_REPLICATION_SLOT s1")[0][1]) == reserved
    stream = Stream(relay.conninfo()).start(reserved, slot="s1")
    stream.receive_wal(reserved, reserved + (20 << 20))
    stream.close()

    wait_until(lambda: command(relay, "DROP_REPLICATION_SLOT s1 WAIT") is None)
    write_wal(primary, 2)
    wait_until(lambda: relay.metric("spool_oldest_lsn_bytes") > reserved + (12 << 20),
               what="the spool to let go")
    assert command(relay, "READ_REPLICATION_SLOT s1") == [(None, None, None)]


def test_it_moves_with_the_standbys_flush(site):
    primary, relay = small(site)
    command(relay, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL")
    standby = site.standby(primary, relay, "standby", slot="s1")
    write_wal(primary, 8)
    target = primary.flush_lsn()
    standby.catch_up(primary)

    def restart_lsn():
        return parse_lsn(command(relay, "READ_REPLICATION_SLOT s1")[0][1])
    wait_until(lambda: restart_lsn() >= target, what="the slot to move")
    relay.stop()
    relay.start()
    assert restart_lsn() >= target
    assert relay.metric("slot_retained_bytes", slot="s1") < 4 << 20


def test_a_temporary_slot_goes_with_its_connection(site):
    _, relay = small(site)
    with connect(relay.conninfo()) as connection:
        connection.execute("CREATE_REPLICATION_SLOT t1 TEMPORARY PHYSICAL RESERVE_WAL")
        assert connection.execute("READ_REPLICATION_SLOT t1").fetchone()[0] == "physical"
    wait_until(lambda: command(relay, "READ_REPLICATION_SLOT t1")[0][0] is None)


def test_slots_stay_off_the_primary(site):
    primary, relay = small(site)
    command(relay, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL")
    assert primary.execute("SELECT slot_name, slot_type, active FROM pg_replication_slots") == [
        ("walrelay_relay", "physical", True)]


def test_max_size_is_a_wall_and_the_slot_in_its_way_is_lost(site):
    primary = site.primary(wal_segsize=1, wal_keep_size="0")
    relay = site.relay(primary, spool={"retain_size": "2MB", "max_size": "16MB", "min_free": "1MB"})
    command(relay, "CREATE_REPLICATION_SLOT lost PHYSICAL RESERVE_WAL")
    reserved = parse_lsn(command(relay, "READ_REPLICATION_SLOT lost")[0][1])
    for _ in range(6):
        write_wal(primary, 6)
        relay.wait_flushed(primary.flush_lsn())
        assert relay.metric("spool_bytes") <= 17 << 20
    assert relay.metric("spool_oldest_lsn_bytes") > reserved
    relay.wait_for_log(r'(?i)slot "lost"')
    with pytest.raises((ConnectionError, psycopg.Error)):
        stream = Stream(relay.conninfo()).start(reserved, slot="lost")
        while stream.receive(10):
            pass


def test_how_much_a_slot_has_left_is_told_until_it_is_lost(site):
    """In PostgreSQL's words, in bytes, and in time at the present pace; by an alert before, and by
    PostgreSQL's error after."""
    primary = site.primary(wal_segsize=1, wal_keep_size="0")
    relay = site.relay(primary, spool={"retain_size": "4MB", "max_size": "48MB", "min_free": "1MB"})
    command(relay, "CREATE_REPLICATION_SLOT away PHYSICAL RESERVE_WAL")
    reserved = parse_lsn(command(relay, "READ_REPLICATION_SLOT away")[0][1])

    def slot():
        row, = show(relay, "SLOTS")
        return row

    def write(megabytes):
        write_wal(primary, megabytes)
        relay.wait_flushed(primary.flush_lsn())
    wait_until(lambda: slot()["safe_wal_size"], what="the spool to have been looked through")
    first = slot()
    assert first["wal_status"] == "reserved" and first["safe_wal_size"] < 48 << 20
    write(8)
    second = slot()
    assert second["wal_status"] == "extended"
    assert second["safe_wal_size"] <= first["safe_wal_size"] - (8 << 20) + (2 << 20)

    def alert():
        return next((each for each in relay.status()["alerts"] if each["alert"] == "slot_near_limit"),
                    None)
    while slot()["safe_wal_size"] > 9 << 20:
        assert alert() is None or slot()["safe_wal_size"] < 12 << 20
        write(1)

    def paced_alert():
        primary.execute("SELECT pg_logical_emit_message(false, 'x', repeat('y', 1000))")
        return alert()
    told = wait_until(paced_alert, 30, "the alert before it is lost")["text"]
    assert re.search(r'slot "away" holds .*; it is lost when .* more have come, at the present pace in '
                     r"\d+", told), told
    assert slot()["wal_status"] == "extended" and slot()["safe_time"] is not None
    while not slot()["is_lost"]:
        write(2)
    lost = slot()
    assert (lost["wal_status"], lost["safe_wal_size"], lost["safe_time"]) == ("lost", None, None)
    wait_until(lambda: any(each["alert"] == "slot_lost" for each in relay.status()["alerts"]))
    with pytest.raises(ConnectionError, match='can no longer .*replication slot "away"'):
        Stream(relay.conninfo()).start(reserved, slot="away")


def test_a_slot_outlives_the_primary(site):
    """Its standby is away while the primary dies and another is promoted; nothing is missing after."""
    primary = site.primary(wal_segsize=1, wal_keep_size="0")
    second = site.standby(primary, primary, "second")
    ports = f"{primary.port},{second.port}"
    relay = site.relay(f"host=127.0.0.1,127.0.0.1 port={ports} user=postgres "
                       "target_session_attrs=read-write", spool={"retain_size": "1MB"})
    command(relay, "CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL")
    standby = site.standby(primary, relay, "standby", slot="s1")
    standby.catch_up(primary)
    standby.stop()
    held = parse_lsn(command(relay, "READ_REPLICATION_SLOT s1")[0][1])
    write_wal(primary, 6)
    second.catch_up(primary)
    primary.kill9()
    second.promote()
    write_wal(second, 6)
    relay.wait_flushed(second.flush_lsn())
    relay.kill9()
    relay.start()
    assert relay.metric("spool_oldest_lsn_bytes") <= held
    # A kill may cost it its last steps, never more WAL.
    assert parse_lsn(command(relay, "READ_REPLICATION_SLOT s1")[0][1]) <= held
    assert second.execute("SELECT slot_name FROM pg_replication_slots WHERE slot_name = 's1'") == []
    standby.start()
    standby.catch_up(second)
    assert_same_rows(second, standby, ["filler"])
    wait_until(lambda: command(relay, "READ_REPLICATION_SLOT s1")[0][2] == 2)
