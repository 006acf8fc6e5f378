"""An upstream that wants TLS: libpq speaks it, and what waits inside the TLS library is not forgotten."""
import socket
import ssl
import subprocess
import threading

import pytest

from support.load import assert_same_rows, write_wal
from support.wait import wait_until
from support.wal import assert_same_wal

IDENTITY = "SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)"


RECORD_BYTES = 16384


def make_certificate(directory):
    """A certificate for 127.0.0.1 that signed itself, and its key."""
    certificate, key = directory / "server.crt", directory / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName = IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o600)
    return certificate, key


def certify(server):
    """It speaks TLS, and nobody comes in without it any more."""
    certificate, key = make_certificate(server.directory)
    server.configure(ssl="on", ssl_cert_file=f"'{certificate}'", ssl_key_file=f"'{key}'")
    (server.data / "pg_hba.conf").write_text("hostssl replication all 127.0.0.1/32 trust\n"
                                             "hostssl all all 127.0.0.1/32 trust\n")
    server.restart()
    return certificate


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_megabytes_and_single_records(site, protocol):
    primary = site.primary(wal_segsize=1)
    certify(primary)
    upstream = primary.conninfo(sslmode="require", ssl_min_protocol_version=protocol,
                                ssl_max_protocol_version=protocol)
    relay = site.relay(upstream)
    assert primary.execute(IDENTITY) == [(True, protocol)]
    standby = site.standby(primary, relay, "standby")

    relay.stop()
    write_wal(primary, 24)
    relay.start()
    relay.wait_flushed(primary.flush_lsn())
    # What is left over waits until the next message, if it is forgotten: there is none here, the
    # server's keepalives apart, which come after half a minute.
    primary.execute("CREATE TABLE t (a int, b text)")
    for length in range(1, 30000, 1999):
        primary.execute("INSERT INTO t SELECT %s, string_agg(md5(i::text), '') "
                        "FROM generate_series(1, %s) i", length, length)
        end = primary.flush_lsn()
        wait_until(lambda end=end: relay.received_lsn() >= end, 20, "the last bytes")

    end = primary.switch_wal()
    relay.wait_flushed(end)
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["t"])
    assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes, at_least=20)


class TlsEnd:
    """Speaks TLS to one client and plainly to a server. What the server says can be held back; then
    it comes as two TLS records, the second as large as one may be, and nothing comes after it."""

    def __init__(self, directory, server_port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server_port = server_port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*make_certificate(directory))
        self.lock = threading.Lock()
        self.is_holding = False
        self.held = b""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        plain = self.listener.accept()[0]
        assert plain.recv(8)[4:] == b"\x04\xd2\x16\x2f", "no SSLRequest"
        plain.sendall(b"S")
        self.client = self.context.wrap_socket(plain, server_side=True)
        self.server = socket.create_connection(("127.0.0.1", self.server_port))
        threading.Thread(target=self.pass_to_server, daemon=True).start()
        while data := self.server.recv(65536):
            with self.lock:
                self.held += data
                if not self.is_holding:
                    self.client.sendall(self.held)
                    self.held = b""

    def pass_to_server(self):
        try:
            while data := self.client.recv(65536):
                self.server.sendall(data)
        except OSError:
            pass
        self.server.close()

    def hold(self):
        with self.lock:
            self.is_holding = True

    def release(self):
        with self.lock:
            assert RECORD_BYTES < len(self.held) <= 2 * RECORD_BYTES, len(self.held)
            self.client.sendall(self.held[:-RECORD_BYTES])
            self.client.sendall(self.held[-RECORD_BYTES:])
            self.held = b""


def test_the_end_of_a_record_of_tls_is_not_left_in_the_library(site):
    """libpq reads what its buffer has room for, and no event of the socket tells of the rest."""
    primary = site.primary(wal_segsize=1)
    primary.switch_wal()
    primary.execute("CHECKPOINT")  # little WAL comes first, so that libpq's buffer stays small
    end = TlsEnd(site.directory, primary.port)
    relay = site.relay(primary.conninfo(port=end.port, sslmode="require"))
    relay.wait_received(primary.flush_lsn())
    end.hold()
    for _ in range(9):
        primary.execute("SELECT pg_logical_emit_message(true, '', repeat('x', 3000))")
    target = primary.flush_lsn()
    wait_until(lambda: primary.value(
        "SELECT sent_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication"))
    wait_until(lambda: len(end.held) > target - relay.received_lsn())
    end.release()
    wait_until(lambda: relay.received_lsn() >= target, what="the end of the record")


def test_a_server_that_cannot_prove_itself_is_not_followed(site):
    primary = site.primary()
    certificate = certify(primary)
    stranger = site.primary("stranger")
    relay = site.relay(primary.conninfo(sslmode="verify-full", sslrootcert=certify(stranger)),
                       start=False)
    relay.start(wait=False)
    relay.wait_for_log("certificate verify failed")
    assert relay.get("/readyz")[0] == 503
    assert primary.walsenders() == []
    relay.configure("upstream", conninfo=primary.conninfo(sslmode="verify-full",
                                                          sslrootcert=certificate))
    relay.reload()
    relay.wait_ready()
    assert primary.execute("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") \
        == [(True,)]
