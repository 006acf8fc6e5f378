"""A thousand hostile connections while a standby streams: it replays on, and when they are gone the
relay is what it was: as large, with as many descriptors, and with a log that can be read."""
import contextlib
import os
import re
import time
from pathlib import Path

import pytest

from support.certificates import Authority
from support.hostile import BRIEF, HELD, Markers, assail, renegotiate, wrong_password
from support.load import assert_same_rows
from support.relay import run_cli
from support.wait import wait_until

RULES = """\
host replication secured,nobody 127.0.0.1/32 scram-sha-256
host replication all            127.0.0.1/32 trust
"""
# What a sanitizer keeps of freed memory is not the relay's.
SANITIZER = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
LINE = re.compile(r"(?:client|standby \S+) 127\.0\.0\.1:\d+: ")
SERVER_VERSION = b"server_version\0"  # what is told only to those who are in
SENDER_THREADS = 2
LEFT_OUT = re.compile(r"(\d+) more lines about 127\.0\.0\.1 were left out")


class Siege:
    def __init__(self, site):
        self.primary = site.primary(wal_segsize=1)
        authority = Authority(site.directory, "authority")
        self.relay = site.relay(self.primary, start=False, relay={
            "authentication_timeout": "8s", "wal_sender_timeout": "10s", "max_connections": 2000})
        authority.serve(self.relay)
        self.relay.hba_file.write_text(RULES)
        self.relay.auth_file.write_text(run_cli("user", "secured", text_input="x\n").stdout)
        self.relay.start(env={**os.environ, **SANITIZER})
        standby = site.standby(self.primary, self.relay, "standby")
        standby.catch_up(self.primary)
        self.standby = standby
        self.receiver = self.walreceiver()
        self.markers = Markers(self.primary, standby)
        self.markers.start()
        self.markers.wait_for_more(1)

    def walreceiver(self):
        return self.standby.value("SELECT pid FROM pg_stat_wal_receiver")

    def descriptors(self):
        return self.relay.metrics()["process_open_fds"][0][1]

    def anonymous_kb(self):
        text = Path(f"/proc/{self.relay.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", text).group(1))

    def assault(self, held_count, brief_count, passwords):
        """Everything at once: while some hold what they got, others come and go."""
        held, _ = assail(HELD, self.relay.port, held_count)
        assert len(held) == held_count
        self.markers.wait_for_more(2)
        assail(BRIEF, self.relay.port, brief_count)
        self.markers.wait_for_more(2)
        assert "no renegotiation" in renegotiate(self.relay.port)
        _, refused = assail([wrong_password], self.relay.port, passwords)
        assert refused == passwords
        self.markers.wait_for_more(2)
        # None of them was let in, and the time of all of them is over.
        for client in held:
            assert SERVER_VERSION not in everything_from(client)
        assert self.walreceiver() == self.receiver

    def settle(self, descriptors):
        wait_until(lambda: self.descriptors() <= descriptors, 60, "descriptors to be given back")


    def check_log(self, began, attempts):
        """Each attempt is a line or is counted in one, and there are no more lines than there may be."""
        text = self.relay.log_text()
        written = len(LINE.findall(text))
        left_out = sum(map(int, LEFT_OUT.findall(text)))
        assert written + left_out >= attempts
        intervals = (time.monotonic() - began) / 10 + 2
        assert written <= SENDER_THREADS * 10 * intervals + 10


def everything_from(client):
    client.settimeout(60)
    heard = b""
    with client, contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            heard += chunk
    return heard


def besiege(site, held, brief, passwords, rounds):
    """The first round is for what is allocated once."""
    began = time.monotonic()
    siege = Siege(site)
    memory, descriptors = [], 1000
    for _ in range(rounds + 1):
        siege.assault(held, brief, passwords)
        siege.settle(descriptors + 2)
        descriptors = siege.descriptors()
        memory.append(siege.anonymous_kb())
    assert max(memory[1:]) <= memory[0] + 4096, memory
    siege.markers.stop()
    siege.standby.catch_up(siege.primary)
    assert_same_rows(siege.primary, siege.standby, ["markers"])
    siege.relay.stop()
    siege.check_log(began, (rounds + 1) * (held + passwords))


def test_a_thousand_hostile_connections(site):
    besiege(site, held=1000, brief=400, passwords=500, rounds=1)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ten_thousand_wrong_passwords(site):
    besiege(site, held=1000, brief=4000, passwords=10000, rounds=3)
