"""Relays behind relays: a hub beside the primary, edges behind it, an edge behind an edge, standbys
at the ends. Whoever is killed comes back to where it was, and everybody holds the primary's bytes."""
import random
import shutil

from support.load import assert_same_rows
from support.wait import wait_until
from support.wal import assert_same_wal, assert_spools_hold

KILLS_EACH = 3
MB = 1 << 20


def tree(site, primary):
    """hub <- edge <- leaf, each with a spool that keeps everything of the test."""
    relays, upstream = [], primary
    for name in ("hub", "edge", "leaf"):
        upstream = site.relay(upstream, name, spool={"retain_size": "2GB"})
        relays.append(upstream)
    return relays


def test_each_part_is_killed_under_load(site):
    primary = site.primary(wal_segsize=1)
    hub, edge, leaf = relays = tree(site, primary)
    standbys = [site.standby(primary, relay, f"behind_{relay.name}") for relay in (edge, leaf)]
    load = site.pgbench(primary)
    for victim in [hub, edge, leaf, *standbys] * KILLS_EACH:
        leaf.wait_received(primary.flush_lsn() + random.randrange(MB // 4))
        victim.kill9()
        victim.start()
    load.stop()
    assert_spools_hold(primary, relays, primary.switch_wal())
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)
    assert primary.walsenders() == ["hub"]


def test_the_primary_is_killed(site):
    primary = site.primary(wal_segsize=1)
    relays = tree(site, primary)
    standby = site.standby(primary, relays[-1], "standby")
    for number in range(3):
        load = site.pgbench(primary, init=number == 0, name=f"pgbench{number}")
        relays[-1].wait_received(primary.flush_lsn() + MB // 2)
        primary.kill9()
        load.stop()
        wait_until(lambda: not relays[0].is_connected(), what="the hub to notice")
        primary.start()
    primary.execute("CREATE TABLE after_all AS SELECT generate_series(1, 1000) AS a")
    assert_spools_hold(primary, relays, primary.switch_wal())
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    assert_same_rows(primary, standby, ["after_all"])


def test_an_edge_whose_spool_is_wiped_begins_again(site):
    primary = site.primary(wal_segsize=1)
    _, edge, leaf = relays = tree(site, primary)
    load = site.pgbench(primary)
    leaf.wait_received(primary.flush_lsn() + MB)
    edge.stop()
    shutil.rmtree(edge.data_dir)
    edge.start()
    load.stop()
    assert_spools_hold(primary, relays, primary.switch_wal())


def test_a_promotion_goes_down_the_tree(site):
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    relays = tree(site, primary)
    standby = site.standby(primary, relays[-1], "standby")
    primary.execute("CREATE TABLE one AS SELECT generate_series(1, 9999) AS a")
    second.catch_up(primary)
    primary.stop()
    second.promote()
    second.execute("CREATE TABLE two AS SELECT generate_series(1, 9999) AS a")
    relays[0].configure("upstream", conninfo=second.conninfo())
    relays[0].reload()

    end = second.switch_wal()
    for relay in relays:
        relay.wait_flushed(end)
        assert_same_wal(relay.spool, second.pg_wal, end, MB)
        assert (relay.spool / "00000002.history").read_bytes() == \
            (second.pg_wal / "00000002.history").read_bytes()
    standby.catch_up(second)
    assert_same_rows(second, standby, ["one", "two"])
