"""Timelines: several crossed at once, one left behind, and WAL that is on none of them."""
import re
import subprocess

import pytest

from support.console import order
from support.load import assert_same_rows
from support.receivers import Hook
from support.relay import binary
from support.replication import command
from support.wait import holds_for, wait_until
from support.wal import assert_same_wal, parse_lsn

MB = 1 << 20


@pytest.fixture
def hook():
    made = Hook().start()
    yield made
    made.stop()


def follow_instead(relay, other):
    relay.configure("upstream", conninfo=other.conninfo())
    return relay.reload()


def test_several_promotions_are_crossed_one_by_one(site):
    """The relay was away while two servers were promoted one after the other."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    third = site.standby(primary, second, "third")
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    relay.stop()
    primary.execute("CREATE TABLE one AS SELECT generate_series(1, 9999) AS a")
    third.catch_up(primary)
    primary.stop()
    second.promote()
    second.execute("CREATE TABLE two AS SELECT generate_series(1, 9999) AS a")
    third.catch_up(second)
    second.stop()
    third.promote()
    third.execute("CREATE TABLE three AS SELECT generate_series(1, 9999) AS a")

    relay.configure("upstream", conninfo=third.conninfo())
    before = relay.log_size()
    relay.start()
    end = third.switch_wal()
    relay.wait_flushed(end)
    assert re.findall(r"following timeline (\d)", relay.log_text(before)) == ["2", "3"]
    compared = assert_same_wal(relay.spool, third.pg_wal, end, MB)
    assert {name[:8] for name in compared} >= {"00000003"}
    for timeline in (2, 3):
        name = f"{timeline:08X}.history"
        assert (relay.spool / name).read_bytes() == (third.pg_wal / name).read_bytes()
    standby.catch_up(third)
    assert_same_rows(third, standby, ["one", "two", "three"])


def test_a_server_left_behind_is_refused(site):
    primary = site.primary()
    second = site.standby(primary, primary, "second")
    relay = site.relay(second)
    primary.stop()
    second.promote()
    second.execute("CREATE TABLE t AS SELECT 1 AS a")
    relay.wait_flushed(second.flush_lsn())
    held = command(relay, "IDENTIFY_SYSTEM")[0][1:3]

    primary.start()
    primary.execute("CREATE TABLE stray AS SELECT generate_series(1, 9999) AS a")
    before = follow_instead(relay, primary)
    relay.wait_for_log("upstream is on timeline 1, which our timeline 2 has left behind", before)
    assert relay.get("/readyz")[0] == 503
    holds_for(lambda: command(relay, "IDENTIFY_SYSTEM")[0][1:3] == held, 2)
    assert primary.execute("SELECT slot_name FROM pg_replication_slots") == []

    follow_instead(relay, second)
    relay.wait_ready()
    second.execute("CREATE TABLE u AS SELECT 1 AS a")
    relay.wait_flushed(second.flush_lsn())


def assert_alert_until_dropped(relay, hook, pin, fork, last):
    """By status, metric and web hook, over a restart, once."""
    def events():
        return [one["event"] for one in hook.taken if one["alert"] == "acknowledged_wal_lost"]

    def is_on():
        return [alert["severity"] for alert in relay.status()["alerts"]
                if (alert["alert"], alert["subject"]) == ("acknowledged_wal_lost", pin)]
    wait_until(events, what="the web hook to be told")
    told = next(one for one in hook.taken if one["alert"] == "acknowledged_wal_lost")
    assert (told["severity"], told["subject"]) == ("critical", pin)
    assert told["figures"] == {"timeline": 1, "from_lsn": fork, "to_lsn": last,
                               "lost_bytes": last - fork}
    assert is_on() == ["critical"]
    relay.stop()
    relay.start()
    wait_until(lambda: is_on() == ["critical"], what="the alert to be on after a restart")
    assert relay.metric("alerts", alert="acknowledged_wal_lost") == 1
    assert order(relay, f"UNPIN {pin}")
    wait_until(lambda: events() == ["raised", "recovered"], what="the alert to end")
    assert is_on() == []


def test_wal_past_the_fork_is_told_and_kept(site, hook):
    """The relay had more of the old timeline than the standby that was promoted."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    relay = site.relay(primary, relay={"admin_users": "ops"}, alerts={"webhook_url": hook.url})
    second.catch_up(primary)
    second.stop()
    primary.execute("CREATE TABLE lost AS SELECT generate_series(1, 99999) AS a")
    end = primary.switch_wal()
    relay.wait_flushed(end)
    primary.kill9()
    second.start()
    second.promote()
    second.execute("CREATE TABLE found AS SELECT generate_series(1, 9999) AS a")

    before = follow_instead(relay, second)
    told = relay.wait_for_log(
        r"ERROR.*timeline 2 forked from timeline 1 at (\S+): acknowledged WAL up to (\S+) "
        r"\((\d+) bytes\)", before)
    fork, last = parse_lsn(told.group(1)), parse_lsn(told.group(2))
    assert last >= end and int(told.group(3)) == last - fork
    relay.wait_ready()
    spool = relay.status()["spool"]
    assert (spool["lost_timeline"], spool["lost_bytes"]) == (1, last - fork)
    assert parse_lsn(spool["lost_from_lsn"]) == fork and parse_lsn(spool["lost_to_lsn"]) == last
    assert relay.metric("upstream_lost_wal_bytes_total") == last - fork
    pin, = relay.status()["pins"]
    assert pin["name"] == f"lost-1-{told.group(1)}-{told.group(2)}".replace("/", "-")
    assert parse_lsn(pin["lsn"]) == fork
    assert_alert_until_dropped(relay, hook, pin["name"], fork, last)
    reached = second.switch_wal()
    relay.wait_flushed(reached)
    old = [path for path in relay.spool.iterdir() if path.name.startswith("00000001")]
    new = [path for path in relay.spool.iterdir() if path.name.startswith("00000002")]
    assert (primary.pg_wal / max(old).name).read_bytes()[:100] == max(old).read_bytes()[:100]
    for path in new:
        if (second.pg_wal / path.name).exists() and path.suffix != ".history" \
                and int(path.name[8:], 16) * MB < reached:
            assert path.read_bytes() == (second.pg_wal / path.name).read_bytes()


def test_a_standby_past_the_fork_is_refused_and_comes_back_rewound(site):
    """It replayed what the server that was promoted never had."""
    primary = site.primary(wal_segsize=1, wal_log_hints="on")
    second = site.standby(primary, primary, "second")
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    second.catch_up(primary)
    second.stop()
    primary.execute("INSERT INTO t SELECT generate_series(2, 50000)")
    primary.switch_wal()
    standby.catch_up(primary)
    primary.kill9()
    second.start()
    second.promote()
    second.execute("INSERT INTO t VALUES (-1)")
    follow_instead(relay, second)
    standby.wait_for_log(
        "requested starting point .* on timeline 1 is not in this server's history")
    relay.wait_for_log('WARNING: standby "?standby.* requested starting point .* is not in this '
                       "server's history.*pg_rewind")
    relay.wait_ready()

    second.execute("CHECKPOINT")
    standby.stop()
    restore = f"{binary()} fetch -d \"{relay.conninfo()}\" %f %p".replace("'", "''")
    standby.configure(restore_command=f"'{restore}'")
    done = subprocess.run(
        [standby.bin_dir / "pg_rewind", "-c", "-D", standby.data, "--source-server",
         second.conninfo(dbname="postgres")], capture_output=True, text=True, timeout=120,
        check=False)
    assert done.returncode == 0, done.stderr
    standby.configure(restore_command="''")
    standby.follow(relay.conninfo(application_name="standby"))
    standby.start()
    standby.catch_up(second)
    assert_same_rows(second, standby, ["t"])
