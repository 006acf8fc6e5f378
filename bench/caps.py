"""Caps: what comes over 10 s under a cap of 4 Mbit/s, for one receiver and for two that share it."""
import statistics
import threading
import time

from support.load import write_wal
from support.replication import Stream
from support.site import Site

MBIT = 1_000_000 // 8
CAP = 4
HEADER = 30  # of each message: 'd', its length, 'w' and three numbers
BEGIN_S, WINDOW_S = 2, 10


class Receiver(threading.Thread):
    """Counts what TCP brought it."""

    def __init__(self, relay, name, lsn):
        super().__init__(daemon=True)
        self.stream = Stream(relay.conninfo(application_name=name))
        self.lsn, self.bytes, self.is_over = lsn, 0, False
        self.stream.start(lsn)
        self.start()

    def run(self):
        while not self.is_over:
            message = self.stream.receive(0.2)
            if message and message[0] == "w":
                self.lsn = message[1] + len(message[3])
                self.bytes += len(message[3]) + HEADER
            elif message and message[2]:
                self.stream.reply(self.lsn)

    def stop(self):
        self.is_over = True
        self.join(10)
        self.stream.close()


def counted(receivers, seconds):
    """Mbit/s of each, over that time."""
    before, began = [receiver.bytes for receiver in receivers], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return [(receiver.bytes - held) / took / MBIT for receiver, held in zip(receivers, before)]


def measure(arguments):
    site = Site(prefix="walrelay-bench.")
    try:
        primary = site.primary()
        relay = site.relay(primary, **{"destination far": {"match": "user replicator",
                                                           "rate_cap": f"{CAP}Mbit/s"}})
        start = primary.flush_lsn() & ~0xFFFF
        write_wal(primary, 64)
        relay.wait_received(primary.flush_lsn())
        rows = []
        for _ in range(arguments.rounds):
            for count in (1, 2):
                receivers = [Receiver(relay, f"r{number}", start) for number in range(count)]
                counted(receivers, BEGIN_S)
                rows.append({"receivers": count, "cap": CAP, "each": counted(receivers, WINDOW_S)})
                if count == 1:
                    relay.configure("destination far", rate_cap=f"{2 * CAP}Mbit/s").reload()
                    rows.append({"receivers": 1, "cap": 2 * CAP, "each": counted(receivers, 1)})
                    relay.configure("destination far", rate_cap=f"{CAP}Mbit/s").reload()
                for receiver in receivers:
                    receiver.stop()
        return rows
    finally:
        site.close()


def table(rows):
    yield (f"{'receivers':>9} {'cap':>4} {'of the cap':>10}   Mbit/s of each, every turn"
           "   (a doubled cap: the first second after the reload)")
    for key in dict.fromkeys((row["receivers"], row["cap"]) for row in rows):
        turns = [row["each"] for row in rows if (row["receivers"], row["cap"]) == key]
        share = statistics.median(sum(each) / key[1] for each in turns)
        yield (f"{key[0]:9} {key[1]:4} {share:10.3f}   "
               + "  ".join("+".join(f"{one:.2f}" for one in each) for each in turns))
