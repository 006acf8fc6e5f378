"""The rungs of a limit under real traffic: ok, warning, throttled, paused, and on again by reload; a kill
at each of them; a pause that lasts longer than every timeout. What is held back is in the spool, and
the rows are the same in the end."""
import sqlite3
import time

import pytest

from support.load import assert_same_rows, write_wal
from support.replication import command
from support.wait import holds_for, wait_until
from support.wal import parse_lsn

FAR = "destination far"
MB = 1 << 20


def far_of(relay):
    return next(one for one in relay.status()["destinations"] if one["name"] == "far")


def booked(relay):
    """What the ledger has on disk."""
    database = sqlite3.connect(f"file:{relay.data_dir}/state.db?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT sum(billed_sent_bytes) FROM usage "
                                "WHERE destination = 'far'").fetchall()
    finally:
        database.close()
    return rows[0][0] or 0


def session_of(relay):
    """The one session of the destination, or None."""
    sessions = [one for one in relay.status()["standbys"] if one["destination"] == "far"]
    return sessions[0] if len(sessions) == 1 else None


def receiver_pid(standby):
    return standby.value("SELECT pid FROM pg_stat_wal_receiver")


def held_from(relay):
    return parse_lsn(relay.status()["spool"]["oldest_lsn"])


def connect_far(site, primary, relay, **settings):
    """A standby with a slot on the relay, that has everything."""
    command(relay, "CREATE_REPLICATION_SLOT far PHYSICAL RESERVE_WAL")
    standby = site.standby(primary, relay, "far", slot="far", **settings)
    standby.catch_up(primary)
    wait_until(lambda: session_of(relay))
    return standby


def wait_rung(relay, state, limit, deadline=60):
    wait_until(lambda: (far_of(relay)["state"], far_of(relay)["limit"]) == (state, limit), deadline,
               f"{state}, {limit}")


def used(relay):
    return far_of(relay)["used_day_bytes"]


def kill_here(relay, state, limit):
    """kill -9 and start: the rung is the same, and of the books less than a second's worth is missing
    and nothing is counted twice."""
    seen = used(relay)
    wait_until(lambda: booked(relay) >= seen, 30, "the ledger to be on disk")
    last = used(relay)
    relay.kill9()
    on_disk = booked(relay)
    assert seen <= on_disk
    relay.start()
    wait_rung(relay, state, limit)
    wait_until(lambda: session_of(relay), 60, "the standby to be back")
    assert on_disk <= used(relay)
    return on_disk - last


def test_every_rung_with_a_kill_at_each(site):
    """One destination climbs: what its standby gets, what it is told, and what the books say."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, **{FAR: {
        "match": "application far", "daily_limit": "40MB", "warn_at": "50%",
        "over_limit": "throttle 512kbit/s"}})
    standby = connect_far(site, primary, relay)
    write_wal(primary, 4)
    standby.catch_up(primary)
    wait_rung(relay, "ok", "ok")
    kill_here(relay, "ok", "ok")

    write_wal(primary, 20)
    wait_rung(relay, "warning", "warning")
    kill_here(relay, "warning", "warning")
    standby.catch_up(primary)

    write_wal(primary, 24)
    wait_rung(relay, "throttled", "over")
    kill_here(relay, "throttled", "over")
    # 64 kB a second from here on, of what comes now.
    write_wal(primary, 4)
    began, before = time.monotonic(), used(relay)
    wait_until(lambda: used(relay) >= before + 256 * 1024, 60, "some of it to trickle")
    elapsed = time.monotonic() - began
    assert used(relay) - before <= 64_000 * (elapsed + 3) + 64 * 1024

    relay.configure(FAR, over_limit="pause").reload()
    wait_rung(relay, "paused", "over")
    kill_here(relay, "paused", "over")
    begun = relay.log_text().count("starts streaming")
    write_wal(primary, 4)
    relay.wait_flushed(primary.flush_lsn())
    at = session_of(relay)["sent_lsn"]
    holds_for(lambda: session_of(relay)["sent_lsn"] == at, 3, "nothing is sent")
    assert relay.metric("destination_rate_cap_bytes_per_second", destination="far") == 0

    relay.configure(FAR, daily_limit="10GB").reload()
    wait_rung(relay, "ok", "ok")
    standby.catch_up(primary)
    assert relay.log_text().count("starts streaming") == begun
    assert_same_rows(primary, standby, ["filler"])
    kill_here(relay, "ok", "ok")
    write_wal(primary, 2)
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["filler"])


def pause_and_resume(site, seconds, receiver_settings, **sections):
    """A pause of that many seconds under a load that outgrows everything but the slot."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, **{FAR: {
        "match": "application far", "daily_limit": "10MB", "over_limit": "pause"},
        "spool": {"retain_size": "4MB"}}, **sections)
    standby = connect_far(site, primary, relay, **receiver_settings)
    write_wal(primary, 12)
    wait_rung(relay, "paused", "over")
    receiver, session = receiver_pid(standby), session_of(relay)
    began = time.monotonic()
    write_wal(primary, 40)
    relay.wait_flushed(primary.flush_lsn())

    def is_held():
        now = session_of(relay)
        return now and now["pid"] == session["pid"] and now["peer"] == session["peer"] \
            and receiver_pid(standby) == receiver and far_of(relay)["state"] == "paused"
    wait_until(is_held)
    at = standby.value("SELECT flushed_lsn::text FROM pg_stat_wal_receiver")
    holds_for(is_held, seconds - (time.monotonic() - began), "the same connection", interval=1)
    # It said something all the time, and got nothing but that.
    assert standby.value("SELECT flushed_lsn::text FROM pg_stat_wal_receiver") == at
    assert standby.value("SELECT status FROM pg_stat_wal_receiver") == "streaming"
    assert standby.value("SELECT now() - last_msg_receipt_time < '60s' FROM pg_stat_wal_receiver")
    assert held_from(relay) <= parse_lsn(at)
    assert primary.flush_lsn() - parse_lsn(at) > 30 * MB
    assert relay.is_connected()

    relay.configure(FAR, daily_limit="10GB").reload()
    standby.catch_up(primary)
    assert receiver_pid(standby) == receiver and session_of(relay)["pid"] == session["pid"]
    assert_same_rows(primary, standby, ["filler"])


def test_a_pause_longer_than_the_timeouts(site):
    pause_and_resume(site, 13, {"wal_receiver_timeout": "'4s'",
                                "wal_receiver_status_interval": "'1s'"},
                     relay={"wal_sender_timeout": "4s"})


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_pause_of_three_minutes_with_everybodys_defaults(site):
    """wal_receiver_timeout and wal_sender_timeout are 60 s."""
    pause_and_resume(site, 185, {})
