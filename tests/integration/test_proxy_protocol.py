"""Behind a load balancer: the client's address comes in a PROXY header, from those who may send one."""
import socket
import struct

import pytest

from support.rawclient import RawClient

RULES = "host replication all 192.0.2.7/32 trust\nhost replication all ::1/128 trust\n"


@pytest.fixture(name="relay")
def proxied_relay(site):
    relay = site.relay(site.primary(), start=False,
                       relay={"proxy_protocol": "on", "proxy_from": "127.0.0.1/32"})
    relay.hba_file.write_text(RULES)
    return relay.start()


def version2(source, command=0x21):
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4711, 1)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, 0x11, len(addresses)) + addresses


def answer(relay, prefix):
    """The first message's kind, and the error's SQLSTATE and text if it is one."""
    with RawClient(relay.port, prefix) as client:
        client.startup(user="u", replication="true")
        kind, body = client.receive()
        if kind == "E":
            fields = {field[:1]: field[1:].decode() for field in body.split(b"\0") if field}
            return kind, fields[b"C"], fields[b"M"]
        return (kind,)


def test_the_address_in_the_header_is_the_one_that_counts(relay):
    for allowed in (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 6433\r\n", version2("192.0.2.7")):
        assert answer(relay, allowed) == ("R",)
    for other in (b"PROXY TCP4 192.0.2.8 127.0.0.1 4711 6433\r\n", version2("192.0.2.8")):
        kind, sqlstate, text = answer(relay, other)
        assert (kind, sqlstate) == ("E", "28000") and '"192.0.2.8"' in text


def test_it_is_seen_in_the_status(relay):
    with RawClient(relay.port, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 6433\r\n") as client:
        client.startup(user="u", application_name="behind", replication="true")
        client.receive_until("Z")
        assert "192.0.2.7" in relay.get("/api/status")[1]


@pytest.mark.parametrize("prefix", [
    b"", b"PROXY TCP4 nonsense\r\n", b"PROXY " + b"x" * 200, version2("192.0.2.7")[:14] + b"\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_header_is_cut(relay, prefix):
    with RawClient(relay.port, prefix) as client:
        client.startup(user="u", replication="true")
        assert client.is_closed()
    assert relay.is_ready()


def test_a_health_check_of_the_balancer_is_no_noise(relay):
    before = relay.log_size()
    with RawClient(relay.port, version2("127.0.0.1", command=0x20)):
        pass
    with RawClient(relay.port):
        pass
    assert relay.is_ready()
    assert "WARNING" not in relay.log_text(before) and "ERROR" not in relay.log_text(before)


def test_nobody_else_may_send_one(site):
    relay = site.relay(site.primary(), start=False,
                       relay={"proxy_protocol": "on", "proxy_from": "10.0.0.0/8"})
    relay.hba_file.write_text(RULES)
    relay.start()
    with RawClient(relay.port, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 6433\r\n") as client:
        client.startup(user="u", replication="true")
        assert client.is_closed()
