"""No malformed, oversized, slow or silent client costs more than its own connection."""
import contextlib
import random
import struct
import threading

import pytest

from support.load import assert_same_rows
from support.ports import has_ipv6
from support.rawclient import RawClient
from support.wait import wait_until

SSL, GSS, CANCEL = 80877103, 80877104, 80877102
STARTUP = [
    b"\0\0\0\0", b"\0\0\0\x07aaa", b"\xff\xff\xff\xff", struct.pack("!II", 10001, 196608),
    struct.pack("!II", 8, 1), struct.pack("!II", 12, 196608) + b"user",
    struct.pack("!II", 9, 196608) + b"\0", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("!IIII", 16, CANCEL, 1, 1),
]


@pytest.fixture(name="relay")
def running_relay(site):
    return site.relay(site.primary())


@pytest.mark.parametrize("number", range(len(STARTUP)))
def test_a_malformed_start_is_answered_and_cut(relay, number):
    with RawClient(relay.port) as client:
        client.send(STARTUP[number])
        client.socket.shutdown(1)
        assert client.is_closed()
    assert relay.is_ready()


def logged_in(relay, **parameters):
    client = RawClient(relay.port)
    client.startup(user="u", replication="true", **parameters)
    client.receive_until("Z")
    return client


def test_negotiation_requests_are_answered_by_a_byte(relay):
    with RawClient(relay.port) as client:
        assert client.request(GSS) == b"N"
        assert client.request(SSL) == b"N"
        client.startup(user="u", replication="true")
        client.receive_until("Z")


def test_a_newer_protocol_is_negotiated_down(relay):
    with RawClient(relay.port) as client:
        client.startup(version=206607, user="u", replication="true", **{"_pq_.grease": "x"})
        kind, body = client.receive()
        assert kind == "v"
        version, count = struct.unpack_from("!II", body)
        assert (version >> 16, count, body[8:]) == (3, 1, b"_pq_.grease\0")
        client.receive_until("Z")


@pytest.mark.parametrize("kind,body", [
    ("Q", b"x" * 70000 + b"\0"), ("P", b"\0SELECT 1\0\0\0"), ("z", b""), ("Q", b"no end")])
def test_unexpected_messages(relay, kind, body):
    with logged_in(relay) as client:
        client.message(kind, body)
        assert client.fatal()["C"] in ("08P01", "0A000", "42601")
    assert relay.is_ready()


def test_a_length_that_lies(relay):
    with logged_in(relay) as client:
        client.send(b"Q" + struct.pack("!I", 0x7fffffff) + b"x")
        assert client.is_closed()
    with logged_in(relay) as client:
        client.send(b"Q" + struct.pack("!I", 3))
        assert client.is_closed()
    assert relay.is_ready()


def test_one_byte_at_a_time(relay):
    with RawClient(relay.port) as client:
        body = b"user\0u\0replication\0true\0\0"
        for byte in struct.pack("!II", len(body) + 8, 196608) + body:
            client.send(bytes([byte]))
        client.receive_until("Z")
        for byte in b"Q" + struct.pack("!I", 20) + b"IDENTIFY_SYSTEM\0":
            client.send(bytes([byte]))
        client.receive_until("Z")


def test_a_silent_client_is_cut_after_authentication_timeout(site):
    relay = site.relay(site.primary(), relay={"authentication_timeout": "1s"})
    with RawClient(relay.port) as silent, RawClient(relay.port) as slow:
        slow.send(b"\0\0")
        assert silent.is_closed(30) and slow.is_closed(30)


def test_more_than_max_connections(site):
    relay = site.relay(site.primary(), relay={"max_connections": 5})
    clients = [logged_in(relay) for _ in range(5)]
    with RawClient(relay.port) as one_more:
        one_more.startup(user="u", replication="true")
        refused = one_more.fatal()
        assert (refused["C"], refused["M"]) == ("53300", "sorry, too many clients already")
    clients.pop().socket.close()

    def there_is_room():
        with RawClient(relay.port) as next_one:
            next_one.startup(user="u", replication="true")
            return next_one.receive()[0] == "R"
    wait_until(there_is_room, 10)
    for client in clients:
        client.socket.close()


@pytest.mark.skipif(not has_ipv6(), reason="needs a second address of the machine, ::1")
def test_more_than_an_address_may_have(site):
    relay = site.relay(site.primary(), start=False, relay={"max_connections_per_address": 3})
    relay.configure("relay", listen=f"127.0.0.1:{relay.port}, [::1]:{relay.port}")
    relay.hba_file.write_text("host replication all all trust\n")
    relay.start()
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(logged_in(relay))
        with RawClient(relay.port) as one_more:
            one_more.startup(user="u", replication="true")
            refused = one_more.fatal()
            assert (refused["C"], refused["M"]) == ("53300", "sorry, too many clients already")
            assert "max_connections_per_address" in refused["D"]
        with RawClient(relay.port, host="::1") as other:
            other.startup(user="u", replication="true")
            other.receive_until("Z")


def test_two_hundred_silent_connections_cost_little(site):
    primary = site.primary()
    relay = site.relay(primary)
    before = relay.metrics()["process_open_fds"][0][1]
    silent = [RawClient(relay.port) for _ in range(200)]
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    for client in silent:
        client.socket.close()
    wait_until(lambda: relay.metrics()["process_open_fds"][0][1] < before + 20, 10)


def test_silence_shuts_no_standby_out(site):
    """Who has not logged in for longest makes room for the next."""
    primary = site.primary()
    relay = site.relay(primary, relay={"max_connections": 20})
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    silent = [RawClient(relay.port) for _ in range(80)]
    for client in silent[::2]:
        client.send(b"\0\0")
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.restart()
    standby.catch_up(primary)
    assert relay.standby_count() == 1
    with logged_in(relay):
        pass
    for client in silent:
        client.socket.close()
    assert standby.value("SELECT count(*) FROM t") == 1


def disturb(port, seed):
    """Whatever comes to a bad client's mind."""
    mind = random.Random(seed)
    for _ in range(60):
        with contextlib.suppress(OSError, EOFError), RawClient(port) as client:
            if mind.random() < 0.5:
                client.startup(user="u", replication="true")
            if mind.random() < 0.5:
                client.message("Q", b"START_REPLICATION 0/1000000\0")
            client.send(mind.randbytes(mind.randrange(1, 3000)))
            for _ in range(mind.randrange(3)):
                client.message(mind.choice("dcfpQX"), mind.randbytes(mind.randrange(40)))
            if mind.random() < 0.5:
                client.socket.settimeout(0.05)
                client.socket.recv(mind.randrange(1, 65536))


def test_standbys_stream_while_bad_clients_come_and_go(site):
    primary = site.primary()
    relay = site.relay(primary, relay={"authentication_timeout": "1s"})
    standby = site.standby(primary, relay, "standby")
    load = site.pgbench(primary)
    standby.catch_up(primary)
    receiver = standby.value("SELECT pid FROM pg_stat_wal_receiver")
    before = relay.metrics()["process_open_fds"][0][1]
    clients = [threading.Thread(target=disturb, args=(relay.port, seed)) for seed in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    load.stop()
    standby.catch_up(primary)
    assert standby.value("SELECT pid FROM pg_stat_wal_receiver") == receiver
    assert_same_rows(primary, standby)
    assert primary.walsenders() == ["relay"]
    wait_until(lambda: relay.metrics()["process_open_fds"][0][1] <= before + 5, 10)
    relay.stop()
