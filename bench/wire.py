"""Wire: bytes from hub to edge under a live load, against what standbys pull over the same path.

Both paths are played at once (80 ms, without loss and with room), so the WAL is the same to the byte:
one to an edge, one to a stock standby straight from the primary. IP packets are counted, in both
directions. A site with N standbys and no relay pays N times what one pays.
"""
from support import wan
from support.load import pgbench_init
from support.site import Site
from support.wait import wait_until
from support.wal import parse_lsn

ROOMY = {"rate_bits": 1_000_000_000, "loss_per_million": 0, "queue_bytes": 8_000_000}


def received(standby):
    return parse_lsn(standby.value("SELECT coalesce(pg_last_wal_receive_lsn(), '0/0')::text"))


def wire_bytes(path):
    return path.outward().sent_bytes + path.homeward().sent_bytes


def measure_rate(site, primary, edge, standby, paths, rate, seconds):
    for path in paths.values():
        path.mark = wire_bytes(path)
    start = primary.flush_lsn()
    load = site.pgbench(primary, init=False, rate=rate, seconds=seconds, name=f"load{rate}")
    wait_until(lambda: not load.is_running, seconds + 60)
    end = primary.flush_lsn()
    edge.wait_received(end)
    wait_until(lambda: received(standby) >= end)
    return {"rate": rate, "wal_bytes": end - start,
            **{name: wire_bytes(path) - path.mark for name, path in paths.items()}}


def measure(arguments):
    if not wan.is_available():
        raise SystemExit("wire needs root, for a network namespace with a WAN")
    site = Site(prefix="walrelay-bench.")
    try:
        paths = {name: site.add(wan.Wan(site.directory / name, congestion, **ROOMY)).start()
                 for name, congestion in (("edge", "bbr"), ("standby", "cubic"))}
        primary = site.primary(listen_addresses="'*'", max_wal_size="16GB",
                               checkpoint_timeout="30s")
        paths["standby"].admit(primary)
        pgbench_init(primary, scale=20)
        hub = site.relay(primary, "hub", start=False, spool={"retain_size": "4GB"})
        paths["edge"].admit(hub)
        hub.start()
        edge = site.relay(paths["edge"].conninfo(hub, application_name="edge"), "edge",
                          spool={"retain_size": "4GB"})
        standby = site.standby(primary, primary, "standby", start=False)
        standby.follow(paths["standby"].conninfo(primary, application_name="standby"))
        standby.start()
        edge.wait_received(primary.flush_lsn(), 300)
        wait_until(lambda: received(standby) >= primary.flush_lsn(), 300)
        return [measure_rate(site, primary, edge, standby, paths, rate, seconds)
                for rate, seconds in ((10, arguments.seconds), (200, arguments.seconds),
                                      (400, 4 * arguments.seconds))]
    finally:
        site.close()


def table(rows):
    yield (f"{'commits/s':>9} {'WAL MB':>7} {'standby MB':>10} {'edge MB':>8} "
           f"{'edge of standby':>15} {'of two':>7}")
    for row in rows:
        share = row["edge"] / row["standby"]
        yield (f"{row['rate']:9} {row['wal_bytes'] / 1e6:7.1f} {row['standby'] / 1e6:10.1f} "
               f"{row['edge'] / 1e6:8.1f} {share:15.3f} {share / 2:7.3f}")
