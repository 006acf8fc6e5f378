"""What the primary shows of a relay is what an honest standby would show: each position is true when
it is told, and the columns say what they say of a standby."""
import pytest

from support.load import write_wal
from support.replication import Stream
from support.wait import holds_for, wait_until
from support.wal import assert_same_wal, parse_lsn

MB = 1 << 20


def shown(primary, name="relay"):
    row, = primary.execute(
        "SELECT state, sync_state, sync_priority, usename, client_addr::text, sent_lsn::text, "
        "write_lsn::text, flush_lsn::text, replay_lsn::text, reply_time > now() - interval '30s', "
        "write_lag, flush_lag, replay_lag FROM pg_stat_replication WHERE application_name = %s",
        name)
    names = ("state", "sync_state", "sync_priority", "user", "address", "sent", "write", "flush",
             "replay", "is_fresh", "write_lag", "flush_lag", "replay_lag")
    values = dict(zip(names, row))
    for position in ("sent", "write", "flush", "replay"):
        values[position] = parse_lsn(values[position]) if values[position] else 0
    return values


def test_it_looks_like_a_standby(site):
    """Side by side with one, under a load, and at rest."""
    primary = site.primary()
    relay = site.relay(primary)
    direct = site.standby(primary, primary, "direct")
    behind = site.standby(primary, relay, "behind")
    load = site.pgbench(primary)
    for _ in range(20):
        ours, theirs = shown(primary), shown(primary, "direct")
        for row in (ours, theirs):
            assert row["replay"] <= row["flush"] <= row["write"] <= row["sent"]
        wait_until(lambda at=ours["write"]: shown(primary)["write"] > at)
    load.stop()
    end = primary.flush_lsn()
    for standby in (direct, behind):
        standby.catch_up(primary)
    wait_until(lambda: shown(primary)["replay"] >= end and shown(primary, "direct")["replay"] >= end,
               what="both to have replayed it")
    ours, theirs = shown(primary), shown(primary, "direct")
    for column in ("state", "sync_state", "sync_priority", "user", "address", "is_fresh"):
        assert ours[column] == theirs[column], column
    assert (ours["state"], ours["sync_state"]) == ("streaming", "async")
    for position in ("sent", "write", "flush", "replay"):
        assert ours[position] >= end
    slot = primary.execute("SELECT active, restart_lsn::text, wal_status FROM pg_replication_slots "
                           "WHERE slot_name = 'walrelay_relay'")[0]
    assert slot[0] is True and parse_lsn(slot[1]) >= end and slot[2] == "reserved"


def test_what_it_says_is_flushed_survives_its_death(site):
    """It is killed under load, over and over: whatever the primary has been told is there."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    load = site.pgbench(primary)
    for _ in range(4):
        wait_until(lambda at=relay.flushed_lsn(): shown(primary)["flush"] > at + MB)
        relay.freeze()
        told = shown(primary)["flush"]
        relay.kill9()
        primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        relay.configure("upstream", conninfo="host=127.0.0.1 port=1 user=postgres")
        relay.start(wait=False)
        wait_until(lambda: relay.get("/healthz")[0] == 200)
        assert relay.flushed_lsn() >= told, "it told what it does not have"
        relay.stop()
        relay.configure("upstream", conninfo=primary.conninfo())
        relay.start()
    load.stop()
    end = primary.switch_wal()
    relay.wait_flushed(end)
    assert_same_wal(relay.spool, primary.pg_wal, end, MB)


def test_replayed_is_what_the_last_of_its_standbys_has(site):
    """A paused standby, and one that only receives."""
    primary = site.primary()
    relay = site.relay(primary)
    one, two = (site.standby(primary, relay, name) for name in ("one", "two"))
    write_wal(primary, 1)
    for standby in (one, two):
        standby.catch_up(primary)
    two.execute("SELECT pg_wal_replay_pause()")
    wait_until(lambda: two.value("SELECT pg_get_wal_replay_pause_state()") == "paused")
    held = two.replay_lsn()
    write_wal(primary, 2)
    one.catch_up(primary)
    end = primary.flush_lsn()
    wait_until(lambda: shown(primary)["flush"] >= end)
    holds_for(lambda: shown(primary)["replay"] <= held, 3)
    two.execute("SELECT pg_wal_replay_resume()")
    wait_until(lambda: shown(primary)["replay"] >= end)


@pytest.mark.parametrize("kind,state", [("1 (relay)", "sync"), ("ANY 1 (relay, direct)", "quorum"),
                                        ("1 (direct, relay)", "potential")])
def test_it_takes_the_part_it_is_given(site, kind, state):
    primary = site.primary()
    site.relay(primary)
    site.standby(primary, primary, "direct")
    primary.configure(synchronous_standby_names=f"'{kind}'")
    primary.reload()
    wait_until(lambda: shown(primary)["sync_state"] == state)
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    assert shown(primary)["sync_priority"] == (2 if state == "potential" else 1)


def test_its_name_is_the_conninfos_where_that_has_one(site):
    primary = site.primary()
    site.relay(primary.conninfo(application_name="named"))
    assert shown(primary, "named")["state"] == "streaming"


def test_an_edge_shows_at_its_hub_as_a_standby_would(site):
    from support.console import show
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = site.relay(hub, "edge")
    behind = site.standby(primary, edge, "behind")
    write_wal(primary, 1)
    behind.catch_up(primary)
    end = primary.flush_lsn()

    def row():
        return next(each for each in show(hub, "STANDBYS", "postgres")
                    if each["application_name"] == "edge")
    wait_until(lambda: parse_lsn(row()["replay_lsn"]) >= end, what="the edge's replay at the hub")
    assert row()["state"] == "streaming" and row()["slot_name"] == "walrelay_edge"
    # And what is replayed behind the edge is what the primary sees of the hub.
    wait_until(lambda: shown(primary, "hub")["replay"] >= end)
    with_none = Stream(hub.conninfo(application_name="silent")).start(end)
    holds_for(lambda: shown(primary, "hub")["replay"] >= end, 1)
    with_none.close()
