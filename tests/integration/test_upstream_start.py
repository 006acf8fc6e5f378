"""Where an empty spool begins, and the slot that holds WAL on the upstream."""
import re

import pytest

from support.load import write_wal
from support.replication import command
from support.wait import holds_for, wait_until
from support.wal import assert_same_wal, format_lsn, parse_lsn, segments

MB = 1 << 20


def with_some_wal(site, **settings):
    """A primary whose last checkpoint's redo is some segments old, and older WAL is still there."""
    primary = site.primary(wal_segsize=1, checkpoint_timeout="1h", **settings)
    for _ in range(4):
        primary.switch_wal()
    primary.execute("CHECKPOINT")
    redo = parse_lsn(primary.value("SELECT redo_lsn::text FROM pg_control_checkpoint()"))
    for _ in range(4):
        primary.switch_wal()
    return primary, redo


def oldest_on(primary):
    return int(segments(primary.pg_wal)[0][8:], 16) * MB


def begins_at(relay, primary, lsn):
    end = primary.switch_wal()
    relay.wait_flushed(end)
    assert relay.metric("spool_oldest_lsn_bytes") == lsn
    assert_same_wal(relay.spool, primary.pg_wal, end, MB, at_least=(end - lsn) // MB)


def test_redo_is_where_the_last_checkpoint_began(site):
    primary, redo = with_some_wal(site)
    relay = site.relay(primary)
    begins_at(relay, primary, redo // MB * MB)


@pytest.mark.parametrize("slot", ["hub", ""])
def test_oldest_is_the_first_segment_the_server_has(site, slot):
    primary, _ = with_some_wal(site)
    relay = site.relay(primary, upstream={"start": "oldest", "slot": slot})
    begins_at(relay, primary, oldest_on(primary))
    names = [row[0] for row in primary.execute("SELECT slot_name FROM pg_replication_slots")]
    assert names == ([slot] if slot else [])


def test_an_lsn_is_taken_at_its_word(site):
    primary, redo = with_some_wal(site)
    relay = site.relay(primary, upstream={"start": format_lsn(redo + 2 * MB)})
    begins_at(relay, primary, redo // MB * MB + 2 * MB)


def test_an_lsn_that_is_gone_is_a_gap(site):
    primary = site.primary(wal_segsize=1, wal_keep_size="0", min_wal_size="2MB",
                           max_wal_size="2MB")
    for _ in range(10):
        primary.switch_wal()
        primary.execute("CHECKPOINT")
    relay = site.relay(primary, start=False, upstream={"start": "0/100000"})
    relay.start(wait=False)
    relay.wait_for_log("ERROR.*already been removed")
    assert relay.get("/readyz")[0] == 503
    relay.stop()
    relay.configure("upstream", start="redo")
    relay.start()


def test_a_slot_that_went_missing_is_made_again_and_told(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    relay.stop()
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    before = relay.log_size()
    end = primary.switch_wal()
    relay.start()
    relay.wait_for_log('WARNING.*slot "walrelay_relay" is missing.*made again', before)
    relay.wait_flushed(end)
    assert_same_wal(relay.spool, primary.pg_wal, end, MB)


def test_a_slot_in_use_is_waited_for(site):
    """As after a crash, while the server has not noticed that the old connection is dead."""
    primary = site.primary(wal_segsize=1)
    other = site.receivewal(primary, arguments=["--create-slot", "--slot", "hub"], start=False)
    other.start()
    wait_until(lambda: other.process.poll() is not None, what="the slot to be made")
    holder = site.receivewal(primary, "holder", arguments=["--slot", "hub"])
    wait_until(lambda: primary.value("SELECT active FROM pg_replication_slots"))
    relay = site.relay(primary, start=False, upstream={"slot": "hub"})
    relay.start(wait=False)
    relay.wait_for_log('WARNING.*replication slot "hub" is active')
    holds_for(lambda: relay.get("/readyz")[0] == 503, 1)
    # The same refusal every few hundred milliseconds is one line.
    assert len(re.findall("is active for PID", relay.log_text())) == 1
    holder.terminate()
    relay.wait_ready()


def test_the_slot_follows_what_is_on_the_relays_disk(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    write_wal(primary, 4)
    end = primary.flush_lsn()
    relay.wait_flushed(end)
    wait_until(lambda: parse_lsn(primary.value(
        "SELECT restart_lsn::text FROM pg_replication_slots")) >= end)
    assert command(relay, "IDENTIFY_SYSTEM")[0][1] == 1
