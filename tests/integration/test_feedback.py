"""hot_standby_feedback of many standbys is one: the oldest snapshot of them all holds the primary's
vacuum back, through relays, for as long as its standby is there."""
import contextlib
import subprocess

from support.replication import Stream
from support.wait import holds_for, wait_until

QUICK = {"wal_receiver_status_interval": "1s"}
OPTIONS = {"hot_standby_feedback": "on", "wal_receiver_status_interval": "1s"}


def slot_xmin(primary, column="xmin"):
    """Of the relay's slot, or None."""
    text = primary.value(f"SELECT {column}::text FROM pg_replication_slots "
                         "WHERE slot_name LIKE 'walrelay_%'")
    return int(text) if text else None


@contextlib.contextmanager
def snapshot_on(standby):
    """A query that looks at the standby as it is now; gives its xmin. The standby may go meanwhile."""
    connection = standby.connect()
    try:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        yield int(connection.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()[0])
    finally:
        connection.close()


def use_transactions(primary, standbys):
    """New transactions, which every standby has seen."""
    for _ in range(10):
        primary.execute("INSERT INTO t VALUES (1)")
    for standby in standbys:
        standby.catch_up(primary)


def stays_at(found, value):
    try:
        holds_for(lambda: found() == value, 3)
    except AssertionError:
        return False
    return True


def wait_for_xmin(primary, xmin):
    wait_until(lambda: slot_xmin(primary) == xmin, 30, f"xmin {xmin} on the primary")


def following(site, upstream, name="relay", **options):
    return site.relay(upstream, name, upstream={**QUICK, **options})


def standbys_of(site, primary, relay, names, **more):
    primary.execute("CREATE TABLE t (a int)")
    made = [site.standby(primary, relay, name, **OPTIONS, **more) for name in names]
    for standby in made:
        standby.catch_up(primary)
    return made


def test_the_oldest_snapshot_of_all_standbys_counts(site):
    primary = site.primary()
    relay = following(site, primary)
    first, second, third = standbys = standbys_of(site, primary, relay, ["one", "two", "three"])
    with snapshot_on(second) as oldest:
        use_transactions(primary, standbys)
        with snapshot_on(first) as younger:
            assert younger > oldest
            use_transactions(primary, standbys)
            wait_for_xmin(primary, oldest)
            holds_for(lambda: slot_xmin(primary) == oldest, 3)
            # What the primary must keep for it, it keeps: the rows are still there to be seen.
            primary.execute("DELETE FROM t")
            primary.execute("VACUUM t")
            third.catch_up(primary)
            second.kill9()
            # Gone with its standby; the next one holds.
            wait_for_xmin(primary, younger)
    with snapshot_on(third) as newest:
        wait_until(lambda: younger < slot_xmin(primary) <= newest, 30, "the xmin to move on")
    first.stop()
    third.stop()
    wait_until(lambda: slot_xmin(primary) is None, 30, "the xmin to be forgotten")


def test_it_comes_through_hub_and_edge(site):
    """Without a slot it is the connection's, as of any standby's."""
    primary = site.primary()
    hub = following(site, primary, "hub", slot="")
    edge = following(site, hub, "edge")
    behind_hub, = standbys_of(site, primary, hub, ["behind_hub"])
    behind_edge = site.standby(primary, edge, "behind_edge", **OPTIONS)
    behind_edge.catch_up(primary)

    def xmin():
        text = primary.value("SELECT backend_xmin::text FROM pg_stat_replication")
        return int(text) if text else None
    with snapshot_on(behind_edge) as oldest:
        use_transactions(primary, [behind_hub, behind_edge])
        with snapshot_on(behind_hub) as younger:
            wait_until(lambda: xmin() == oldest, 40, "the edge's xmin on the primary")
            assert younger > oldest
            # What was told before the younger one was there has been told anew by then.
            wait_until(lambda: stays_at(xmin, oldest), 60, "the edge's xmin to stay")
            edge.kill9()
            # The edge's slot at the hub holds it, as PostgreSQL's slots do.
            holds_for(lambda: xmin() == oldest, 3)
            behind_edge.kill9()
            edge.start()
            wait_until(lambda: xmin() == younger, 40, "the hub's own standby to count")


def test_it_holds_rows_that_a_query_on_a_standby_needs(site):
    """With it a long query on a standby is never cancelled for a vacuum of the primary."""
    primary = site.primary()
    relay = following(site, primary)
    standby, other = standbys_of(site, primary, relay, ["one", "two"],
                                 max_standby_streaming_delay="0")
    primary.execute("INSERT INTO t SELECT generate_series(1, 1000)")
    standby.catch_up(primary)
    with standby.connect() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
        xmin = int(connection.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()[0])
        use_transactions(primary, [other])
        wait_for_xmin(primary, xmin)
        primary.execute("DELETE FROM t")
        primary.execute("VACUUM t")
        standby.catch_up(primary)
        assert connection.execute("SELECT count(*) FROM t").fetchone()[0] == rows


def test_epochs_are_of_64_bits(site):
    """Of two on either side of the wrap-around the larger number is the older transaction."""
    primary = site.primary()
    primary.stop()
    subprocess.run([primary.bin_dir / "pg_resetwal", "-e", "1", "-x", "1000", primary.data],
                   check=True, capture_output=True)
    primary.start()
    relay = following(site, primary)
    end = primary.flush_lsn()
    relay.wait_flushed(end)
    before, after = (Stream(relay.conninfo(application_name=name)).start(end)
                     for name in ("before", "after"))
    # A slot's xmin never goes back, so the older ones come first.
    before.feedback(0xFFFFFFF0, 0, 0xFFFFFFF7, 0)
    wait_for_xmin(primary, 0xFFFFFFF0)
    wait_until(lambda: slot_xmin(primary, "catalog_xmin") == 0xFFFFFFF7)
    after.feedback(900, 1, 940, 1)
    holds_for(lambda: slot_xmin(primary) == 0xFFFFFFF0, 3)
    before.feedback(950, 1, 0xFFFFFFF7, 0)
    wait_for_xmin(primary, 900)
    assert slot_xmin(primary, "catalog_xmin") == 0xFFFFFFF7
    after.feedback(0, 0, 940, 1)
    wait_for_xmin(primary, 950)
    before.close()
    wait_until(lambda: slot_xmin(primary) is None)
    wait_until(lambda: slot_xmin(primary, "catalog_xmin") == 940)
    after.close()
    wait_until(lambda: slot_xmin(primary, "catalog_xmin") is None)
