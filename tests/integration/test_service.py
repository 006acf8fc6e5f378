"""What a service manager hears, and what logrotate asks for."""
import json
import os
import signal
import socket

from support.replication import command
from support.wait import wait_until


class Manager:
    """The socket of sd_notify(3), and everything that was said to it."""

    def __init__(self, directory):
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.heard = []

    def hears(self, word):
        """Waits until that is said, after whatever was waited for before."""
        def is_heard():
            while True:
                try:
                    self.heard += self.socket.recv(4096).decode().splitlines()
                except BlockingIOError:
                    return word in self.heard
        wait_until(is_heard, what=f"{word} to be said, not {self.heard}")
        del self.heard[:self.heard.index(word) + 1]


def test_systemd_hears_of_start_reload_upgrade_and_stop(site):
    manager = Manager(site.directory)
    relay = site.relay(site.primary(), start=False)
    relay.start(env={**os.environ, "NOTIFY_SOCKET": str(manager.path)})
    manager.hears("READY=1")
    assert any(line.startswith("STATUS=") for line in manager.heard)
    relay.reload()
    manager.hears("RELOADING=1")
    assert manager.heard[0].startswith("MONOTONIC_USEC=")
    manager.hears("READY=1")
    relay.send(signal.SIGUSR2)
    manager.hears("READY=1")
    relay.wait_ready()
    relay.stop()
    manager.hears("STOPPING=1")


def test_systemd_hears_that_the_relay_is_alive(site):
    manager = Manager(site.directory)
    relay = site.relay(site.primary(), start=False)
    # Without WATCHDOG_PID it is for whoever gets it: the process is started by way of setpriv.
    relay.start(env={**os.environ, "NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"})
    for _ in range(3):
        manager.hears("WATCHDOG=1")
    relay.send(signal.SIGUSR2)
    manager.hears("READY=1")
    manager.hears("WATCHDOG=1")
    relay.wait_ready()
    relay.stop()


def test_sigusr1_opens_the_log_anew(site):
    log = site.directory / "walrelay.log"
    relay = site.relay(site.primary(), start=False, relay={"log_file": log})
    relay.start()
    rotated = site.directory / "walrelay.log.1"
    log.rename(rotated)
    before = rotated.read_text()
    assert "streaming from" in before
    relay.send(signal.SIGUSR1)
    wait_until(log.exists)
    relay.reload()
    wait_until(lambda: "configuration reloaded" in log.read_text())
    assert "configuration reloaded" not in rotated.read_text()


def test_a_log_of_json_has_an_object_a_line(site):
    log = site.directory / "walrelay.log"
    relay = site.relay(site.primary(), start=False, relay={"log_file": log, "log_format": "json"})
    relay.start()
    command(relay, "IDENTIFY_SYSTEM")
    relay.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines and all(isinstance(line, dict) for line in lines)
    assert "streaming from" in log.read_text()
