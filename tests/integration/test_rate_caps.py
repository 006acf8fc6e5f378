"""A cap on what goes out is kept to, shared fairly, and changed live; what it slows down stays alive."""
import threading
import time

from support.load import write_wal
from support.replication import Stream
from support.wait import wait_until

MBIT = 1_000_000 // 8
FRAME = 30  # of each message: 'd', its length, 'w' and three numbers


class Taker:
    """A client that takes all it is sent, and says what came when. What has come by a moment has been
    sent by then, so a cap on sending holds for it, however late this process looks."""

    def __init__(self, relay, name):
        self.stream = Stream(relay.conninfo(application_name=name))
        self.bytes = 0
        self.lsn = 0
        self.began = None
        self.samples = []
        self.is_over = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self, lsn):
        self.lsn = lsn
        self.began = time.monotonic()
        self.stream.start(lsn)
        self.thread.start()
        return self

    def run(self):
        while not self.is_over:
            message = self.stream.receive(0.2)
            if message and message[0] == "w":
                self.lsn = message[1] + len(message[3])
                self.bytes += len(message[3]) + FRAME
                self.samples.append((time.monotonic() - self.began, self.bytes))
            elif message and message[2]:
                self.stream.reply(self.lsn)

    def stop(self):
        self.is_over = True
        self.thread.join(10)
        self.stream.close()

    def wait_bytes(self, count, deadline):
        wait_until(lambda: self.bytes >= count, deadline, f"{count} bytes")


def assert_capped(takers, bytes_per_second):
    """Together never more than the cap since the beginning, and a tenth of a second of it."""
    events = sorted((moment, number, count) for number, taker in enumerate(takers)
                    for moment, count in taker.samples)
    held = [0] * len(takers)
    for moment, number, count in events:
        held[number] = count
        most = bytes_per_second * (moment + 0.1)
        assert sum(held) <= most, f"{sum(held)} bytes after {moment:.3f} s, allowed {most:.0f}"


def filled_relay(site, megabytes=40, **sections):
    primary = site.primary()
    relay = site.relay(primary, **sections)
    start = primary.flush_lsn() & ~0xFFFF
    write_wal(primary, megabytes)
    relay.wait_received(primary.flush_lsn())
    return primary, relay, start


def test_the_egress_cap_is_kept_to_and_changed_by_reload(site):
    _, relay, start = filled_relay(site, egress={"rate_cap": "4Mbit/s"})
    taker = Taker(relay, "taker").start(start)
    taker.wait_bytes(5 * 4 * MBIT, 30)
    assert_capped([taker], 4 * MBIT)
    assert taker.samples[-1][0] < 7  # 5 s if nothing else ran here

    relay.configure("egress", rate_cap="8Mbit/s").reload()
    before, begun = taker.bytes, time.monotonic()
    taker.wait_bytes(before + 5 * 8 * MBIT, 30)
    assert time.monotonic() - begun < 8  # 10 s at the old cap
    relay.configure("egress", rate_cap=None).reload()
    taker.wait_bytes(30 << 20, 20)
    taker.stop()
