"""How hard WAL is compressed for a link, when nobody says: harder while the link is what waits."""
from support.load import pgbench_init
from support.wait import wait_until
from support.wal import assert_spools_hold


def test_behind_a_cap_it_is_compressed_harder_until_the_edge_has_caught_up(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", **{"destination far": {"match": "application far",
                                                            "rate_cap": "4Mbit/s"}})
    pgbench_init(primary, scale=8)
    site.pgbench(primary, seconds=3, init=False).process.wait(60)
    end = primary.switch_wal()
    hub.wait_flushed(end)
    assert hub.metric("link_level") == 3
    far = site.relay(hub, "far", upstream={"start": "oldest"}, start=False)
    far.start(wait=False)
    wait_until(lambda: hub.metric("link_level") > 3, 120, "a higher level")
    assert hub.status()["link"]["level"] > 3
    assert far.received_lsn() < end
    hub.configure("destination far", rate_cap=None).reload()
    assert_spools_hold(primary, [far], end, deadline=120)
    assert far.metric("link_upstream_plain_requests_total") == 0
    wait_until(lambda: hub.metric("link_level") == 3, 60, "the first level again")
