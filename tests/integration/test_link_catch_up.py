"""An edge far behind catches up through the link while another at the tip stays there."""
from support.load import assert_same_rows, write_wal
from support.wait import wait_until
from support.wal import assert_spools_hold

SPOOL = {"retain_size": "4GB", "max_size": "8GB"}


def test_the_tip_goes_on_while_another_edge_is_far_behind(site):
    primary = site.primary(max_wal_size="4GB")
    hub = site.relay(primary, "hub", spool=SPOOL)
    near = site.relay(hub, "near", spool=SPOOL)
    standby = site.standby(primary, near, "standby")
    primary.execute("CREATE TABLE marker (number int)")
    site.pgbench(primary, seconds=5).process.wait(60)
    write_wal(primary, 300)
    near.wait_received(primary.flush_lsn())
    behind = primary.flush_lsn()
    far = site.relay(hub, "far", spool=SPOOL, upstream={"start": "oldest"})
    markers = 0
    while markers == 0 or far.received_lsn() < behind:
        markers += 1
        primary.execute(f"INSERT INTO marker VALUES ({markers})")
        wait_until(lambda: standby.value("SELECT max(number) FROM marker") == markers,
                   what=f"marker {markers} on the standby")
    end = primary.switch_wal()
    assert_spools_hold(primary, (hub, near, far), end, deadline=120)
    assert_same_rows(primary, standby, ["marker"])
    for edge in (near, far):
        assert edge.metric("link_upstream_version") == 1
        assert edge.metric("link_upstream_plain_requests_total") == 0


def test_edges_that_join_one_after_another_share_what_is_encoded(site):
    primary = site.primary(max_wal_size="4GB")
    hub = site.relay(primary, "hub", spool=SPOOL)
    site.pgbench(primary, seconds=5).process.wait(60)
    write_wal(primary, 60)
    end = primary.switch_wal()
    hub.wait_flushed(end)
    edges = [site.relay(hub, f"edge{number}", start=False, spool=SPOOL, upstream={"start": "oldest"})
             for number in range(6)]
    for edge in edges:
        edge.start(wait=False)
    assert_spools_hold(primary, edges, end, deadline=120)
    distinct = end - hub.metric("spool_oldest_lsn_bytes")
    encoded = sum(value for _, value in hub.metrics()["walrelay_link_wal_bytes_total"])
    assert encoded < 1.5 * distinct
