"""A restart costs a standby no more than its own retry; an upgrade in place, not even that."""
import os
import shutil
import signal
import sys

import pytest

from support.load import assert_same_rows
from support.relay import binary
from support.wait import wait_until

RETRY_SECONDS = 2


# What a walreceiver says of a try that nobody answered, or that was turned away.
FAILED_TRY = "could not connect to the primary server"
READY = b"is ready to accept connections"


def receiver(standby):
    """The pid of the walreceiver that streams; 0: none does."""
    rows = standby.execute("SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'")
    return rows[0][0] if rows else 0


def wait_for_another_receiver(standby, than, deadline=60):
    wait_until(lambda: receiver(standby) not in (0, than), deadline,
               f"another walreceiver of {standby.name} to stream")


def streaming(site, **options):
    primary = site.primary()
    relay = site.relay(primary, **options)
    standby = site.standby(primary, relay, "standby",
                           wal_retrieve_retry_interval=f"'{RETRY_SECONDS}s'")
    load = site.pgbench(primary, rate=200)
    standby.catch_up(primary)
    return primary, relay, standby, load


def test_a_cold_restart_costs_one_retry_interval(site):
    """The first try after the relay is there again is answered and streams."""
    primary, relay, standby, load = streaming(site)
    for _ in range(3):
        before = receiver(standby)
        relay.stop()
        relay.start()
        looked_from = standby.log_size()
        wait_for_another_receiver(standby, before)
        assert FAILED_TRY not in standby.log_text(looked_from)
    load.stop()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)


def relay_pid(relay):
    return int((relay.data_dir / "walrelay.pid").read_text().split()[0])


def test_an_upgrade_in_place_answers_the_first_try(site):
    """SIGUSR2 starts the binary that stands at the same path now. Whoever knocks meanwhile waits in
    the queue of the socket that was handed over, so that no try is in vain."""
    shutil.copy(binary(), site.directory / "walrelay")
    primary = site.primary()
    relay = site.relay(primary, start=False)
    relay.start(command=[site.directory / "walrelay", "serve", "-c", relay.config_file])
    standby = site.standby(primary, relay, "standby",
                           wal_retrieve_retry_interval=f"'{RETRY_SECONDS}s'")
    load = site.pgbench(primary, rate=200)
    standby.catch_up(primary)
    for number in range(3):
        # A new file in its place, as a package upgrade leaves it; told from the old by a letter.
        new = site.directory / "new"
        new.write_bytes(binary().read_bytes().replace(READY, READY[:-1] + b"%d" % number))
        new.chmod(0o755)
        os.rename(site.directory / "new", site.directory / "walrelay")
        before, looked_from, relay_log = receiver(standby), standby.log_size(), relay.log_size()
        relay.send(signal.SIGUSR2)
        wait_for_another_receiver(standby, before)
        relay.wait_ready()
        assert FAILED_TRY not in standby.log_text(looked_from), relay.log_text()
        relay.wait_for_log(f"is ready to accept connection{number}", relay_log)
    load.stop()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    relay.check_log()


def test_an_upgrade_to_a_broken_binary_or_configuration_is_refused(site):
    primary, relay, standby, load = streaming(site)
    relay.configure("relay", listen="nonsense")
    streams = receiver(standby)
    before = relay.log_size()
    relay.send(signal.SIGUSR2)
    relay.wait_for_log("listen", before)
    assert relay.is_ready()
    assert receiver(standby) == streams
    load.stop()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd package")
def test_sockets_of_systemd_are_used(site):
    """The socket lives on in systemd while the relay is away: a client that comes then waits in its
    queue and is served."""
    primary = site.primary()
    relay = site.relay(primary, start=False)
    relay.start(wait=False, command=[
        "systemd-socket-activate", "-l", f"127.0.0.1:{relay.port}",
        "-E", "ASAN_OPTIONS", "-E", "UBSAN_OPTIONS", binary(), "serve", "-c", relay.config_file])
    # The first connection starts it.
    standby = site.standby(primary, primary, "standby", start=False)
    standby.follow(relay.conninfo(application_name="standby")).start(wait=False)
    relay.wait_ready()
    wait_until(standby.is_accepting, 60)
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])


# What systemd does for a service with a socket: holds it, and starts the service whenever it ended.
ACTIVATOR = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        os.execvp("setpriv", ["setpriv", "--pdeathsig", "TERM", "--", *sys.argv[2:]])
    os.waitpid(pid, 0)
"""


def test_a_restart_with_a_socket_of_systemd_answers_the_first_try(site):
    primary = site.primary()
    relay = site.relay(primary, start=False)
    relay.start(command=[sys.executable, "-c", ACTIVATOR, relay.port,
                         binary(), "serve", "-c", relay.config_file])
    standby = site.standby(primary, relay, "standby",
                           wal_retrieve_retry_interval=f"'{RETRY_SECONDS}s'")
    load = site.pgbench(primary, rate=200)
    standby.catch_up(primary)
    for _ in range(3):
        before, looked_from, old = receiver(standby), standby.log_size(), relay_pid(relay)
        os.kill(old, signal.SIGTERM)
        wait_for_another_receiver(standby, before)
        relay.wait_ready()
        assert relay_pid(relay) != old
        assert FAILED_TRY not in standby.log_text(looked_from), relay.log_text()
    load.stop()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    relay.check_log()
