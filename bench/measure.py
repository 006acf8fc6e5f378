#!/usr/bin/env python3
"""Runs the measurements of bench/README.md and prints their tables, and JSON where --json says."""
import argparse
import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent),
                str(Path(__file__).resolve().parent.parent / "tests")]

import caps  # noqa: E402
import catch_up  # noqa: E402
import edges  # noqa: E402
import goodput  # noqa: E402
import lanes  # noqa: E402
import latency  # noqa: E402
import memory  # noqa: E402
import metering  # noqa: E402
import restart  # noqa: E402
import seeding  # noqa: E402
import tls  # noqa: E402
import wire  # noqa: E402

MEASUREMENTS = {"catch_up": catch_up, "tls": tls, "latency": latency, "memory": memory, "restart": restart,
                "edges": edges, "goodput": goodput, "lanes": lanes, "wire": wire, "metering": metering,
                "caps": caps, "seeding": seeding}


def machine():
    return {
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "congestion_control":
            Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "load_before": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *MEASUREMENTS],
                        help=f"some of {', '.join(MEASUREMENTS)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--megabytes", type=int, default=512, help="WAL of the catch-up (512)")
    parser.add_argument("--commits", type=int, default=1000, help="commits of a latency turn (1000)")
    parser.add_argument("--wan-megabytes", type=int, default=64, help="WAL over the WAN (64)")
    parser.add_argument("--seconds", type=int, default=20,
                        help="length of a load of edges and wire (20)")
    parser.add_argument("--gigabytes", type=float, default=1, help="the database of seeding (1)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    results = {"machine": machine()}
    print(" ".join(f"{key}={value}" for key, value in results["machine"].items()))
    for name in arguments.what or MEASUREMENTS:
        module = MEASUREMENTS[name]
        print(f"\n{module.__doc__.splitlines()[0]}", flush=True)
        results[name] = module.measure(arguments)
        for line in module.table(results[name]):
            print(line, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
