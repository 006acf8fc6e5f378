"""What strangers do to a listening port. Each kind is a function of the port that makes one attempt,
and either ends it or returns the connection, to be held."""
import contextlib
import random
import resource
import socket
import ssl
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

from support.rawclient import RawClient
from support.wait import wait_until

SSL_REQUEST = struct.pack("!II", 8, 80877103)
STARTUP_BODY = b"user\0u\0replication\0true\0\0"
STARTUP = struct.pack("!II", len(STARTUP_BODY) + 8, 196608) + STARTUP_BODY
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
WORKERS = 8
DROPPED = (OSError, EOFError, struct.error, AssertionError)


def allow_many_sockets():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def opened(port, first=b""):
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(first)
    return client


# --- held: they cost a connection for as long as they may ---

def silent(port):
    return opened(port)


def half_a_startup(port):
    return opened(port, STARTUP[:random.randrange(1, len(STARTUP))])


def half_a_hello(port):
    return opened(port, SSL_REQUEST + HELLO) if random.random() < 0.5 else opened(port, HELLO)


def half_a_password(port):
    client = RawClient(port)
    client.startup(user="secured", replication="true")
    client.receive()
    return client.socket


HELD = [silent, half_a_startup, half_a_hello, half_a_password]


# --- over at once ---

def oversized_startup(port):
    with opened(port, struct.pack("!II", random.choice([10001, 0x7fffffff, 0xffffffff]), 196608)) as client:
        client.sendall(b"x" * 70000)


def startup_and_away(port):
    with opened(port, STARTUP) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(port):
    with opened(port, random.randbytes(random.randrange(1, 4000))) as client:
        client.recv(1000)


def tls_garbage(port):
    with opened(port, SSL_REQUEST) as client:
        if client.recv(1) == b"S":
            client.sendall(random.choice([b"\x16\x03\x01\x40\x00" + random.randbytes(16384),
                                          b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
                                          b"\x15\x03\x01\x00\x02\x02\x28",
                                          random.randbytes(3000)]))
            client.recv(1000)


def handshake(port):
    """All of it, again and again: what costs a server most."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with opened(port, SSL_REQUEST) as client:
        if client.recv(1) == b"S":
            context.wrap_socket(client).close()


def smuggled(port):
    with opened(port, SSL_REQUEST + STARTUP) as client:
        client.recv(1000)


def long_command(port):
    with RawClient(port) as client:
        client.startup(user="u", replication="true")
        client.receive_until("Z")
        client.message("Q", b"IDENTIFY_SYSTEM" + b" " * 100000 + b"\0")


def deaf(port):
    """Asks on and on, and reads no answer."""
    with RawClient(port) as client:
        client.startup(user="u", replication="true")
        client.receive_until("Z")
        client.socket.settimeout(0.2)
        for _ in range(40):
            client.send((b"Q" + struct.pack("!I", 20) + b"IDENTIFY_SYSTEM\0") * 500)


def wrong_password(port):
    with RawClient(port) as client:
        client.startup(user=random.choice(["secured", "nobody"]), replication="true")
        client.wrong_scram()
        assert client.fatal()["C"] == "28P01"


BRIEF = [oversized_startup, startup_and_away, garbage, tls_garbage, handshake, smuggled, long_command,
         deaf]


def renegotiate(port):
    """TLS 1.2, logged out, asks for new keys: what openssl says."""
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-starttls", "postgres", "-connect", f"127.0.0.1:{port}"],
        input="R\n", capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def assail(kinds, port, count):
    """So many attempts, of each kind in turn, several at a time; what is to be held, and how many
    went as they should."""
    allow_many_sockets()

    def attempt(number):
        with contextlib.suppress(*DROPPED):
            return kinds[number % len(kinds)](port) or True
        return None
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(attempt, range(count)))
    held = [each for each in results if isinstance(each, socket.socket)]
    return held, sum(each is not None for each in results)


class Markers(threading.Thread):
    """Rows that go one after another to the primary and are awaited at a standby."""

    def __init__(self, primary, standby):
        super().__init__(daemon=True)
        self.primary, self.standby = primary.connect(), standby.connect()
        self.primary.execute("CREATE TABLE markers (n int)")
        self.seen = 0
        self.failure = None
        self.is_over = threading.Event()

    def run(self):
        try:
            wait_until(lambda: self._value("SELECT to_regclass('markers') IS NOT NULL"))
            while not self.is_over.is_set():
                self.primary.execute("INSERT INTO markers VALUES (%s)", [self.seen + 1])
                wait_until(lambda: self._value("SELECT max(n) FROM markers") == self.seen + 1, 60,
                           interval=0.01)
                self.seen += 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def _value(self, sql):
        return self.standby.execute(sql).fetchone()[0]

    def wait_for_more(self, count, deadline=120):
        """So many that begin from now on."""
        goal = self.seen + count + 1
        wait_until(lambda: self.seen >= goal or self.failure, deadline, f"{count} markers")
        assert self.failure is None, self.failure

    def stop(self):
        self.is_over.set()
        self.join(90)
        self.primary.close()
        self.standby.close()
        assert self.failure is None, self.failure
