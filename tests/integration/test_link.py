"""The link between two relays: what the edge holds is what the hub holds, byte for byte, whatever
happens between them."""
import shutil
import subprocess
from pathlib import Path

import pytest

from support.load import assert_same_rows, pgbench_init, write_wal
from support.relay import run_cli
from support.wait import wait_until
from support.wal import assert_same_spools, assert_same_wal, segment_name


def received(edge, name):
    return edge.metric(f"link_upstream_{name}_total")


def has_link(edge):
    return edge.metric("link_upstream_version") == 1


def edge_of(site, hub, name="edge", **sections):
    """An edge is lazy about nothing here: it begins where its hub does."""
    edge = site.relay(hub, name, upstream={"start": "oldest"}, **sections)
    wait_until(lambda: has_link(edge), what=f"{name} to follow by a link")
    return edge


@pytest.mark.any_version
@pytest.mark.parametrize("wal_segsize", [1, 16, 64])
def test_a_standby_behind_hub_and_edge_holds_what_the_primary_has(site, wal_segsize):
    primary = site.primary(wal_segsize=wal_segsize)
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    standby = site.standby(primary, edge, "standby")
    site.pgbench(primary, seconds=5).process.wait(60)
    primary.execute("CHECKPOINT")
    site.pgbench(primary, seconds=3, init=False, name="again").process.wait(60)
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    assert_same_spools(primary, hub, edge)
    assert received(edge, "wal_bytes") > 4 * received(edge, "encoded_bytes")
    assert edge.metric("link_upstream_plain_requests_total") == 0
    assert edge.status()["upstream_link"]["version"] == 1
    assert edge.metric("link_decode_cpu_seconds_total") > 0
    assert edge.metric("upstream_wire_bytes_total") < edge.metric("upstream_wal_bytes_total") / 3


@pytest.mark.parametrize("compression", ["pglz", "lz4", "zstd"])
def test_images_that_postgresql_compressed_are_referred_to(site, compression):
    """They come as what changed in the page, unless one of the ends leaves them as they are."""
    primary = site.primary(wal_segsize=1, wal_compression=compression)
    hub = site.relay(primary, "hub")
    edges = [edge_of(site, hub), edge_of(site, hub, "as_they_are", link={"recompress": "off"})]
    pgbench_init(primary, scale=2)
    for _ in range(3):
        primary.execute("CHECKPOINT")
        primary.execute("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 10 = 0")
    assert_same_spools(primary, hub, *edges)
    for kind in ("image_referred", "image_compressed"):
        assert hub.metric("link_wal_bytes_total", kind=kind) > 1 << 20
    assert [edge.metric("link_upstream_plain_requests_total") for edge in edges] == [0, 0]


def kinds_of(hub, destination, column):
    """{kind: bytes} of what went to it over links, of /metrics and /api/status alike."""
    told = next(one for one in hub.status()["destinations"] if one["name"] == destination)["kinds"]
    samples = [(has["kind"], value) for has, value in
               hub.metrics().get(f"walrelay_destination_link_{column}_total", [])
               if has["destination"] == destination]
    assert (told is None) == (samples == [])
    assert {kind: told[kind][column] for kind, _ in samples} == dict(samples)
    return dict(samples)


def test_what_goes_over_links_is_told_by_destination_and_kind(site):
    """To one of two edges all goes, to the other what is new since it came, to a standby none."""
    primary = site.primary()
    hub = site.relay(primary, "hub", **{f"destination {name}": {"match": f"application {name}"}
                                        for name in ("first", "later", "standby")})
    edges = [edge_of(site, hub, "first")]
    standby = site.standby(primary, hub, "standby")
    pgbench_init(primary, scale=2)
    primary.execute("SELECT pg_switch_wal()")
    edges.append(site.relay(hub, "later"))
    wait_until(lambda: has_link(edges[1]), what="later to follow by a link")
    for _ in range(2):
        primary.execute("CHECKPOINT")
        primary.execute("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 10 = 0")
    standby.catch_up(primary)
    assert_same_spools(primary, hub, *edges)
    for edge in edges:
        wal, encoded = (kinds_of(hub, edge.name, f"{name}_bytes") for name in ("wal", "encoded"))
        assert sum(wal.values()) == received(edge, "wal_bytes")
        # By shares of each batch, rounded down.
        assert 0.95 < sum(encoded.values()) / received(edge, "encoded_bytes") <= 1
        assert wal["image_referred"] > 1 << 20 and encoded["image_new"] > 0
        wait_until(lambda one=edge.name, sent=sum(wal.values()): hub.metric(
            "destination_wal_bytes_total", destination=one) == sent, what="the meter to be read")
    first, later = (sum(kinds_of(hub, edge.name, "wal_bytes").values()) for edge in edges)
    assert first > later + (10 << 20)
    for none in ("standby", "other"):
        assert kinds_of(hub, none, "wal_bytes") == {}
    assert "% of what goes to it over links is full-page images" in \
        run_cli("status", "-c", hub.config_file).stdout


def test_an_edge_may_serve_edges(site):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    leaf = edge_of(site, edge, "leaf")
    standby = site.standby(primary, leaf, "standby")
    site.pgbench(primary, seconds=4).process.wait(60)
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    assert_same_spools(primary, hub, edge, leaf)
    assert received(leaf, "batches") > 0


def test_without_compression_nothing_is_asked_or_offered(site):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = site.relay(hub, "edge", link={"compression": "none"})
    write_wal(primary, 2)
    assert_same_spools(primary, edge)
    assert edge.metric("link_upstream_version") == 0
    other = site.relay(edge, "other")
    assert other.metric("link_upstream_version") == 0
    assert other.status()["upstream_link"] is None
    assert other.received_lsn() > 0


def test_it_resumes_to_the_byte_after_cuts(site, proxy):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    path = proxy(hub)
    edge = edge_of(site, path.conninfo())
    load = site.pgbench(primary, seconds=8)
    for cut in range(5):
        before = edge.received_lsn()
        wait_until(lambda at=before: edge.received_lsn() > at, what=f"WAL before cut {cut}")
        path.cut()
        wait_until(lambda n=cut: edge.metric("upstream_reconnects_total") > n, what="a reconnect")
        wait_until(lambda: edge.is_connected(), what="the stream")
    load.process.wait(60)
    assert_same_spools(primary, edge)
    # Nothing was sent twice but what was on its way: the overlap did not come again.
    began = edge.metric("spool_oldest_lsn_bytes")
    assert edge.metric("upstream_wal_bytes_total") < edge.received_lsn() - began + (4 << 20)


def test_an_idle_edge_counts_as_streaming_after_a_cut(site, proxy):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    path = proxy(hub)
    edge = edge_of(site, path.conninfo())
    write_wal(primary, 1)
    edge.wait_flushed(primary.insert_lsn())
    path.cut()
    wait_until(lambda: edge.metric("upstream_reconnects_total") == 1, what="a reconnect")
    edge.wait_ready()
    assert has_link(edge)


def test_flipped_bits_do_no_harm(site, proxy):
    """A batch is asked for again, or the connection made anew; nothing wrong is ever appended."""
    primary = site.primary()
    hub = site.relay(primary, "hub")
    path = proxy(hub)
    edge = edge_of(site, path.conninfo())
    load = site.pgbench(primary)
    for _ in range(5):
        wanted = path.flipped + 1
        path.flip(1)
        wait_until(lambda n=wanted: path.flipped >= n, what="a flip")
        before = edge.received_lsn()
        wait_until(lambda at=before: edge.received_lsn() > at, what="the stream to go on")
    load.stop()
    assert_same_spools(primary, edge)
    assert edge.metric("link_upstream_plain_requests_total") + \
        edge.metric("upstream_reconnects_total") > 0


def test_an_edge_whose_spool_was_wiped_begins_anew(site):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    write_wal(primary, 3)
    assert_same_spools(primary, edge)
    edge.stop()
    shutil.rmtree(edge.data_dir)
    edge.start()
    write_wal(primary, 3)
    assert_same_spools(primary, edge)
    assert has_link(edge)


def test_an_edge_ahead_of_its_hub_waits_for_it(site):
    """kill -9 of the hub, which then has not what it had passed on."""
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    site.pgbench(primary, seconds=3).process.wait(60)
    end = primary.insert_lsn()
    edge.wait_received(end)
    hub.kill9()
    hub.start()
    write_wal(primary, 3)
    assert_same_spools(primary, hub, edge)
    wait_until(lambda: has_link(edge) and edge.is_connected(), what="the link")


def test_a_diverged_edge_says_where(site):
    """The checksum of the overlap differs, and so the hub sends it whole, for the place to be found."""
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    write_wal(primary, 1)
    edge.wait_flushed(primary.flush_lsn())
    edge.stop()
    segment = edge.spool / segment_name(1, primary.flush_lsn(), primary.wal_segment_bytes)
    with open(segment, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    edge.start(wait=False)
    wait_until(lambda: "diverged at 0/" in (edge.status()["upstream"]["last_error"] or ""),
               what="the edge to find the difference")
    assert edge.status()["upstream"]["has_diverged"]


def test_a_smaller_ceiling_makes_a_smaller_promise(site):
    primary = site.primary(wal_segsize=1)
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub, link={"reference": "30MB"}, spool={"retain_size": "1MB"})
    write_wal(primary, 40)
    assert_same_spools(primary, edge)
    wait_until(lambda: edge.metric("spool_bytes") >= 30 << 20, what="the reference to be kept")
    edge.configure("spool", max_size="16MB")
    edge.reload()
    wait_until(lambda: edge.metric("spool_bytes") <= 16 << 20, deadline=30, what="the spool to shrink")
    write_wal(primary, 10)
    assert_same_spools(primary, edge)
    assert has_link(edge)


def test_a_promotion_is_crossed_through_the_link(site):
    """The hub follows a server that is promoted; batches go on with the new timeline."""
    primary = site.primary(wal_segsize=1)
    second = site.standby(primary, primary, "second")
    hub = site.relay(second, "hub")
    edge = edge_of(site, hub)
    standby = site.standby(primary, edge, "standby")
    site.pgbench(primary, seconds=3).process.wait(60)
    second.catch_up(primary)
    primary.stop()
    second.promote()
    before = received(edge, "batches")
    site.pgbench(second, seconds=3, init=False, name="after").process.wait(60)
    end = second.switch_wal()
    edge.wait_flushed(end)
    compared = assert_same_wal(edge.spool, second.pg_wal, end, second.wal_segment_bytes)
    assert {name[:8] for name in compared} >= {"00000002"}
    assert received(edge, "batches") > before
    standby.catch_up(second)
    assert_same_rows(second, standby)
    assert edge.metric("link_upstream_plain_requests_total") == 0


def test_a_hub_that_starts_again_knows_the_images_in_its_spool(site):
    primary = site.primary()
    hub = site.relay(primary, "hub")
    edge = edge_of(site, hub)
    site.pgbench(primary, seconds=2).process.wait(60)
    primary.execute("CHECKPOINT")
    site.pgbench(primary, seconds=4, init=False, name="images").process.wait(60)
    edge.wait_flushed(primary.flush_lsn())
    held = primary.flush_lsn() - int(hub.metric("spool_oldest_lsn_bytes"))
    hub.stop()
    hub.start()
    wait_until(lambda: hub.metric("link_noted_bytes_total") >= held - (1 << 20), what="its notes")
    primary.execute("CHECKPOINT")
    site.pgbench(primary, seconds=2, init=False, name="again").process.wait(60)
    assert_same_spools(primary, hub, edge)
    assert hub.metric("link_wal_bytes_total", kind="image_referred") > \
        hub.metric("link_wal_bytes_total", kind="image_new")
    assert edge.metric("link_upstream_plain_requests_total") == 0


def controls(name):
    return Path("/proc/sys/net/ipv4", name).read_text(encoding="ascii").split()


def congestion_of(port):
    """The congestion controls of the established sockets on the port, and of their far ends."""
    def ask(end):
        listed = subprocess.run(["ss", "-tinOH", "state", "established", end, "=", f":{port}"],
                                capture_output=True, text=True, timeout=60, check=True).stdout
        known = controls("tcp_available_congestion_control")
        return [word for word in listed.split() if word in known]
    return ask("sport"), ask("dport")


def test_congestion_control_is_of_the_link_where_it_sends(site):
    system, = controls("tcp_congestion_control")
    other = next((name for name in controls("tcp_allowed_congestion_control") if name != system),
                 None)
    if other is None:
        pytest.skip(f"only root may have more than {system}")
    primary = site.primary()
    hub = site.relay(primary, "hub", link={"congestion": other})
    plain = site.receivewal(hub)
    wait_until(lambda: hub.standby_count() == 1, what="a standby")
    assert congestion_of(hub.port) == ([system], [system])
    plain.kill9()
    wait_until(lambda: hub.standby_count() == 0, what="the standby to be gone")
    edge = edge_of(site, hub, link={"lanes": 3})
    wait_until(lambda: edge.metric("link_upstream_lanes") == 3, what="all lanes")
    write_wal(primary, 2)
    assert_same_spools(primary, hub, edge)
    assert congestion_of(hub.port) == ([other] * 3, [system] * 3)


def test_a_congestion_control_that_is_not_to_be_had_is_told_of_once(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", link={"congestion": "nosuch"})
    edges = [edge_of(site, hub, name) for name in ("one", "other")]
    write_wal(primary, 2)
    assert_same_spools(primary, hub, *edges)
    assert hub.log_text().count(
        'could not use the congestion control "nosuch": No such file or directory') == 1
    sending, _ = congestion_of(hub.port)
    assert sending == controls("tcp_congestion_control") * 2
