"""The price of metering: catch-up from a relay with 20 destinations against one with none."""
import statistics

from catch_up import receive
from support.load import write_wal
from support.site import Site

RECEIVERS = (1, 16)
DESTINATIONS = 20


def destinations():
    return {f"destination d{number}": {
        "match": f"application receiver{number}", "price_per_gb": "0.02", "daily_limit": "1TB",
        "monthly_limit": "10TB"} for number in range(DESTINATIONS)}


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary(max_wal_size="100GB", checkpoint_timeout="1h", wal_keep_size="50GB")
        spool = {"retain_size": "50GB", "max_size": "100GB"}
        relays = {"none": site.relay(primary, "none", spool=spool),
                  "20": site.relay(primary, "twenty", spool=spool, **destinations())}
        start = primary.switch_wal()
        write_wal(primary, arguments.megabytes)
        end = primary.switch_wal()
        for relay in relays.values():
            relay.wait_flushed(end, deadline=300)
        primary.execute("CHECKPOINT")
        figures = []
        for count in RECEIVERS:
            for turn in range(2 * arguments.rounds + 1):
                pair = {}
                for name in sorted(relays, reverse=turn % 2 == 1):
                    pair[name] = receive(site, relays[name], count, start, end,
                                         primary.wal_segment_bytes)
                if turn > 0:  # the first only warms up
                    figures += [{"destinations": name, "receivers": count, "turn": turn,
                                 "wall_s": wall, "cpu_s": cpu, "bytes": (end - start) * count}
                                for name, (wall, cpu) in pair.items()]
        return figures
    finally:
        site.close()


def table(figures):
    yield f"{'receivers':>9} {'MB/s none':>10} {'MB/s 20':>10} {'wall ratio':>11} {'CPU ratio':>10}"
    for count in RECEIVERS:
        rows = [row for row in figures if row["receivers"] == count]
        by_turn = {turn: {row["destinations"]: row for row in rows if row["turn"] == turn}
                   for turn in {row["turn"] for row in rows}}

        def ratio(key, pairs=by_turn):
            return statistics.median(pair["20"][key] / pair["none"][key]
                                     for pair in pairs.values())

        def speed(name, all_rows=rows):
            return statistics.median(row["bytes"] / row["wall_s"] / 1e6
                                     for row in all_rows if row["destinations"] == name)
        yield (f"{count:9} {speed('none'):10.0f} {speed('20'):10.0f} {ratio('wall_s'):11.3f} "
               f"{ratio('cpu_s'):10.3f}")
