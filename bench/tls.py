"""Catch-up over TLS 1.3: the same WAL to 1 and 4 pg_receivewal, from the primary's walsenders and from the relay.

Both serve with one certificate and agree on the same cipher, which is looked up first. They take
turns, each round beginning with the other; figures as in catch_up.
"""
import re
import statistics
import subprocess

from catch_up import receive
from support.certificates import Authority
from support.load import write_wal
from support.site import Site

RECEIVERS = (1, 4)
SOURCES = ("primary", "relay")


def agreed(source):
    """Protocol and cipher."""
    said = subprocess.run(
        ["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{source.port}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False).stdout
    return re.search(r"New, (\S+), Cipher is (\S+)", said).groups()


def ground(site, megabytes):
    primary = site.primary(max_wal_size="100GB", checkpoint_timeout="1h", wal_keep_size="50GB")
    authority = Authority(site.directory, "authority")
    relay = site.relay(primary, start=False, spool={"retain_size": "50GB", "max_size": "100GB"})
    certificate, key = authority.serve(primary)
    relay.configure("relay", tls_cert=certificate, tls_key=key)
    primary.restart()
    relay.start()
    start = primary.switch_wal()
    write_wal(primary, megabytes)
    end = primary.switch_wal()
    relay.wait_flushed(end, deadline=300)
    primary.execute("CHECKPOINT")
    verified = {"sslmode": "verify-full", "sslrootcert": authority.certificate,
                "ssl_min_protocol_version": "TLSv1.3"}
    return {"primary": primary, "relay": relay}, start, end, verified


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        sources, start, end, verified = ground(site, arguments.megabytes)
        ciphers = {name: agreed(source) for name, source in sources.items()}
        if len(set(ciphers.values())) != 1:
            raise RuntimeError(f"not the same cipher: {ciphers}")
        segment_bytes = sources["primary"].wal_segment_bytes
        figures = []
        for count in RECEIVERS:
            for turn in range(2 * arguments.rounds + 1):
                for name in SOURCES[::-1 if turn % 2 else 1]:
                    wall, cpu = receive(site, sources[name], count, start, end, segment_bytes,
                                        **verified)
                    if turn > 0:  # the first only warms up
                        figures.append({"source": name, "receivers": count, "turn": turn,
                                        "wall_s": wall, "cpu_s": cpu, "bytes": (end - start) * count,
                                        "cipher": " ".join(ciphers[name])})
        return figures
    finally:
        site.close()


def table(figures):
    yield f"{figures[0]['cipher']}"
    yield f"{'source':10} {'receivers':>9} {'MB/s':>8} {'CPU s/GB':>9} {'wall':>6} {'CPU':>6}" \
          "   (medians; wall and CPU as medians of each turn's ratio to the primary's)"
    for count in RECEIVERS:
        turns = {}
        for row in figures:
            if row["receivers"] == count:
                turns.setdefault(row["turn"], {})[row["source"]] = row
        for source in SOURCES:
            wall, cpu = (statistics.median(turn[source][key] for turn in turns.values())
                         for key in ("wall_s", "cpu_s"))
            ratios = [statistics.median(turn[source][key] / turn["primary"][key]
                                        for turn in turns.values()) for key in ("wall_s", "cpu_s")]
            size = next(iter(turns.values()))[source]["bytes"]
            yield (f"{source:10} {count:9} {size / wall / 1e6:8.0f} {cpu / (size / 1e9):9.3f} "
                   f"{ratios[0]:6.2f} {ratios[1]:6.2f}")
