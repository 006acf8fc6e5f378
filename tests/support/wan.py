"""A WAN between servers of one machine: wan_link.c on a device that tests/run or bench/run has made.

Servers run as ever; what is near (the hub's side) is reached from afar at Wan.conninfo(server).
"""
import os
import signal
import struct
from collections import namedtuple
from pathlib import Path

from support.postgres import Postgres
from support.process import Process
from support.wait import wait_until

# The last number but one of the addresses of a device, by the congestion control of its routes.
NETS = {"bbr": 0, "cubic": 1}
Direction = namedtuple("Direction", "sent_packets sent_bytes sent_payload_bytes carried_packets "
                       "carried_bytes carried_payload_bytes lost_packets full_packets cut_packets")


def is_available():
    return bool(os.environ.get("WALRELAY_WAN"))


class Wan(Process):
    """The path itself. Round trip, rate and loss are those the project's figures are stated for."""

    def __init__(self, directory, congestion="bbr", rtt_ms=80, rate_bits=50_000_000,
                 loss_per_million=1000, queue_bytes=500_000, seed=1):
        super().__init__(f"wan_{congestion}", directory)
        self.net = f"10.80.{NETS[congestion]}"
        self.counters_file = self.directory / "counters"
        self.command = [
            os.environ["WALRELAY_WAN_LINK"], Path(os.environ["WALRELAY_WAN"]) / "tun", self.name,
            self.counters_file, rtt_ms * 500, rate_bits, queue_bytes, loss_per_million, seed]

    def start(self):
        self.spawn(self.command)
        wait_until(self.counters, what="the WAN")
        return self

    @property
    def near(self):
        """Where the hub's side listens."""
        return f"{self.net}.1"

    def conninfo(self, server, **parameters):
        """How the far side reaches a server of the near side."""
        return server.conninfo(host=f"{self.net}.3", **parameters)

    def admit(self, server):
        """Lets the far side in, which arrives as one address. A relay has to be started again."""
        if isinstance(server, Postgres):
            lines = "host all all 10.80.0.0/16 trust\nhost replication all 10.80.0.0/16 trust\n"
            with open(server.data / "pg_hba.conf", "a", encoding="utf-8") as file:
                file.write(lines)
            server.reload()
        else:
            with open(server.hba_file, "a", encoding="utf-8") as file:
                file.write("host replication all 10.80.0.0/16 trust\n")
            listen = server.sections["relay"]["listen"]
            server.configure("relay", listen=f"{listen}, {self.near}:{server.port}")

    def counters(self):
        """Is it cut, and what went outward (from the near side) and homeward."""
        words = struct.unpack("19Q", self.counters_file.read_bytes())
        return bool(words[0]), Direction(*words[1:10]), Direction(*words[10:])

    def outward(self):
        return self.counters()[1]

    def homeward(self):
        return self.counters()[2]

    def cut(self):
        assert not self.counters()[0]
        self.send(signal.SIGUSR1)
        wait_until(lambda: self.counters()[0], what="the WAN to be cut")

    def heal(self):
        assert self.counters()[0]
        self.send(signal.SIGUSR1)
        wait_until(lambda: not self.counters()[0], what="the WAN to be healed")
