"""A cap on what goes out is kept to, shared fairly, and changed live; what it slows down stays alive."""
import threading
import time

from support.load import assert_same_rows, write_wal
from support.process import Process
from support.replication import Stream
from support.wait import wait_until
from support.wal import parse_lsn

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

    def seconds(self):
        return time.monotonic() - self.began

    def stop(self):
        self.is_over = True
        self.thread.join(10)
        self.stream.close()

    def wait_bytes(self, count, deadline):
        wait_until(lambda: self.bytes >= count, deadline, f"{count} bytes")


def assert_capped(takers, bytes_per_second):
    """Together never more than the cap since the beginning, and a tenth of a second of it. A machine
    that is slow makes it less."""
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

    relay.configure("egress", rate_cap="8Mbit/s").reload()
    wait_until(lambda: taker.bytes > 4 * MBIT * (taker.seconds() + 1), 60,
               "more than the old cap allows")
    relay.configure("egress", rate_cap=None).reload()
    taker.wait_bytes(30 << 20, 20)
    taker.stop()


def test_connections_of_one_destination_have_equal_halves_and_others_are_not_slowed(site):
    _, relay, start = filled_relay(
        site, **{"destination far": {"match": "application far_1, application far_2",
                                     "rate_cap": "4Mbit/s"}})
    halves = [Taker(relay, name).start(start) for name in ("far_1", "far_2")]
    near = Taker(relay, "near").start(start)
    near.wait_bytes(30 << 20, 20)
    for taker in halves:
        taker.wait_bytes(5 * 2 * MBIT, 40)
    assert_capped(halves, 4 * MBIT)
    # As far as the slower one had come when both were looked at.
    sizes = [taker.bytes for taker in halves]
    assert max(sizes) - min(sizes) < 0.1 * max(sizes), sizes
    for taker in (*halves, near):
        taker.stop()


def test_a_destination_of_larger_priority_is_served_first(site):
    _, relay, start = filled_relay(
        site, egress={"rate_cap": "4Mbit/s"},
        **{"destination first": {"match": "application first", "priority": 10},
           "destination last": {"match": "application last"}})
    first, last = [Taker(relay, name).start(start) for name in ("first", "last")]
    first.wait_bytes(5 * 4 * MBIT * 9 // 10, 40)
    assert 0 < last.bytes < first.bytes / 10
    assert_capped([first, last], 4 * MBIT)
    # Once the first has all it wants, the other has the rest.
    first.stop()
    before = last.bytes
    last.wait_bytes(before + 4 * MBIT, 20)
    last.stop()


def streams_begun(relay):
    return relay.log_text().count("starts streaming")


def written_lsn(standby):
    return parse_lsn(standby.value("SELECT written_lsn::text FROM pg_stat_wal_receiver"))


def test_a_standby_under_a_very_low_cap_does_not_lose_its_connection(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, relay={"wal_sender_timeout": "3s"},
                       **{"destination far": {"match": "application far"}})
    standby = site.standby(primary, relay, "far", wal_receiver_timeout="'3s'",
                           wal_receiver_status_interval="'1s'")
    standby.catch_up(primary)
    relay.configure("destination far", rate_cap="64kbit/s").reload()
    write_wal(primary, 4)
    begun, at = streams_begun(relay), written_lsn(standby)
    # 12 seconds' worth of it, four times the timeouts.
    wait_until(lambda: written_lsn(standby) > at + 96_000, 60)
    assert streams_begun(relay) == begun
    relay.configure("destination far", rate_cap=None).reload()
    standby.catch_up(primary)
    assert streams_begun(relay) == begun
    assert_same_rows(primary, standby, ["filler"])


class Backup(Process):
    """pg_basebackup without WAL."""

    def __init__(self, name, directory, bin_dir, relay):
        super().__init__(name, directory)
        self.command = [bin_dir / "pg_basebackup", "-D", self.directory / "copy", "-X", "none",
                        "-c", "fast", "-d", relay.conninfo(application_name=name)]

    def start(self):
        self.spawn(self.command)
        return self


def test_a_base_backup_counts_and_leaves_wal_the_way(site):
    primary, relay, start = filled_relay(
        site, 4, **{"destination far": {"match": "address 127.0.0.1/32", "rate_cap": "4Mbit/s"}})
    backup = site.add(Backup("backup", site.directory / "backup", site.client_bin, relay)).start()
    wait_until(lambda: relay.metric("destination_wire_bytes_total", destination="far") > MBIT, 30)
    before = relay.metric("destination_wire_bytes_total", destination="far")
    taker = Taker(relay, "far").start(start)
    taker.wait_bytes(4 << 20, 60)
    sent = relay.metric("destination_wire_bytes_total", destination="far") - before
    # As much again if the backup had had its half.
    assert sent < taker.bytes * 3 / 2
    assert backup.is_running
    taker.stop()
    relay.configure("destination far", rate_cap=None).reload()
    assert backup.process.wait(60) == 0
