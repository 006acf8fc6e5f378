"""What the relay tells the primary: flushed means on our disk, apply means replayed by standbys."""
from concurrent.futures import ThreadPoolExecutor, TimeoutError as FutureTimeout

import pytest

from support.relay import run_cli
from support.wait import holds_for, wait_until


def pair(site, settings=None, **options):
    primary = site.primary(**(settings or {}))
    relay = site.relay(primary, **options)
    primary.execute("CREATE TABLE t (a int)")
    return primary, relay


def commit(primary, level, deadline=60):
    """Fails when the commit still waits at the deadline. (A statement_timeout would not end it: the
    server takes that back before it commits.)"""
    with primary.connect(options=f"-c synchronous_commit={level}") as connection, \
            ThreadPoolExecutor(1) as pool:
        done = pool.submit(connection.execute, "INSERT INTO t VALUES (1)")
        try:
            done.result(deadline)
        except FutureTimeout:
            connection.cancel()
            raise AssertionError(f"a commit still waits after {deadline} s") from None


def is_waiting(primary):
    """A commit waits for its synchronous standby."""
    return primary.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1


def make_synchronous(primary):
    primary.configure(synchronous_standby_names="'relay'")
    primary.reload()
    wait_until(lambda: primary.value("SELECT sync_state FROM pg_stat_replication "
                                     "WHERE application_name = 'relay'") == "sync")


@pytest.mark.parametrize("level", ["remote_write", "on"])
def test_a_synchronous_commit_returns_when_the_relay_has_it(site, level):
    """For its flush, then, and not for the status interval, nor for being asked."""
    primary, relay = pair(site, {"wal_sender_timeout": "0"},
                          upstream={"wal_receiver_status_interval": "1h"})
    make_synchronous(primary)
    for _ in range(20):
        commit(primary, level)
    flushed = primary.value("SELECT flush_lsn - '0/0' FROM pg_stat_replication")
    assert relay.flushed_lsn() >= flushed


def test_remote_apply_waits_for_a_standby(site):
    primary, relay = pair(site)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    make_synchronous(primary)
    for number in range(1, 11):
        commit(primary, "remote_apply")
        assert standby.value("SELECT count(*) FROM t") == number


def test_nothing_is_acknowledged_as_applied_without_standbys(site):
    primary, relay = pair(site)
    relay.wait_flushed(primary.flush_lsn())
    wait_until(lambda: primary.value("SELECT flush_lsn IS NOT NULL FROM pg_stat_replication"))
    assert primary.value("SELECT coalesce(replay_lsn, '0/0') = '0/0' FROM pg_stat_replication")


def test_remote_apply_flush_answers_by_itself(site):
    primary, _ = pair(site, upstream={"remote_apply": "flush"})
    make_synchronous(primary)
    commit(primary, "remote_apply")


def test_hot_standby_feedback_reaches_the_primary(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby", hot_standby_feedback="on",
                           wal_receiver_status_interval="1s")
    standby.catch_up(primary)

    def xmin():
        return primary.value("SELECT coalesce(xmin::text, '') FROM pg_replication_slots "
                             "WHERE slot_name = 'walrelay_relay'")
    wait_until(lambda: xmin() != "", what="an xmin on the primary")
    standby.stop()
    wait_until(lambda: xmin() == "", what="the xmin to be forgotten")


def test_standbys_have_to_hold_it_too(site):
    """acknowledge = standbys 2: a commit waits for two of them, but not for ever."""
    primary = site.primary()
    relay = site.relay(primary, upstream={"acknowledge": "standbys 2",
                                          "acknowledge_timeout": "1h"})
    primary.execute("CREATE TABLE t (a int)")
    one = site.standby(primary, relay, "one")
    two = site.standby(primary, relay, "two")
    make_synchronous(primary)
    for _ in range(5):
        commit(primary, "on")
    held = primary.value("SELECT flush_lsn - '0/0' FROM pg_stat_replication "
                         "WHERE application_name = 'relay'")
    for standby in (one, two):
        wait_until(lambda: standby.value("SELECT flushed_lsn - '0/0' FROM pg_stat_wal_receiver")
                   >= held)
    two.stop()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(commit, primary, "on")
        try:
            wait_until(lambda: is_waiting(primary), what="a commit that waits")
            holds_for(lambda: is_waiting(primary), 2)
            assert relay.metric("upstream_acknowledges_alone") == 0
        finally:
            two.start()
        waiting.result(60)

    relay.configure("upstream", acknowledge_timeout="1s")
    relay.reload()
    two.stop()
    commit(primary, "on")
    relay.wait_for_log("fewer than 2 standbys have flushed what is flushed here for 1000 ms")
    assert relay.metric("upstream_acknowledges_alone") == 1
    assert relay.status()["upstream"]["acknowledges_alone"] is True
    commit(primary, "on")
    two.start()
    relay.wait_for_log("2 standbys hold again what is acknowledged")
    wait_until(lambda: relay.metric("upstream_acknowledges_alone") == 0)


def test_status_says_when_the_standbys_hold_everything(site):
    primary = site.primary()
    relay = site.relay(primary)
    primary.execute("CREATE TABLE t (a int)")
    standbys = [site.standby(primary, relay, name) for name in ("one", "two")]
    for standby in standbys:
        standby.catch_up(primary)
    assert relay.status()["drained"] is False
    primary.execute("INSERT INTO t SELECT generate_series(1, 100000)")
    relay.wait_flushed(primary.flush_lsn())
    primary.kill9()
    wait_until(lambda: relay.status()["drained"], 60, "the standbys to drain the relay")
    ranked = relay.status()["promotion"]
    assert sorted(row["application_name"] for row in ranked) == ["one", "two"]
    assert [(row["rank"], row["missing_bytes"], row["drained"]) for row in ranked] == \
        [(1, 0, True), (2, 0, True)]
    said = run_cli("status", "-c", relay.config_file).stdout
    assert "\ndrained: yes\n" in said
    standbys[0].promote()
    assert standbys[0].value("SELECT count(*) FROM t") == 100000
