"""What a client hears before it has logged in, byte by byte, is what PostgreSQL says to the same bytes."""
import contextlib
import struct

import pytest

from support.rawclient import RawClient

SSL, GSS, CANCEL = 80877103, 80877104, 80877102
RULES = ("host replication,all alice 127.0.0.1/32 scram-sha-256\n"
         "local all postgres trust\nhost all,replication postgres 127.0.0.1/32 trust\n")
FIRST = b"n,,n=,r=abcdefghijklmnop"


@pytest.fixture(name="servers", scope="module")
def server_and_relay():
    from support.site import Site
    site = Site()
    server = site.primary()
    server.execute("SET password_encryption = 'scram-sha-256'")
    server.execute("CREATE ROLE alice LOGIN REPLICATION PASSWORD 'wonderland'")
    secret = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'")
    relay = site.relay(server, start=False)
    relay.auth_file.write_text(f'"alice" "{secret}"\n')
    relay.hba_file.write_text(RULES)
    (server.data / "pg_hba.conf").write_text(RULES)
    server.restart()
    relay.start()
    yield server, relay
    faults = site.close()
    assert not faults, "\n".join(faults)


def request(code):
    return struct.pack("!II", 8, code)


def startup(version=196608, tail=b"", **parameters):
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + tail
    return struct.pack("!II", len(body) + 8, version) + body


def password(body):
    return b"p" + struct.pack("!I", len(body) + 4) + body


def sasl(first, mechanism=b"SCRAM-SHA-256"):
    return password(mechanism + b"\0" + struct.pack("!I", len(first)) + first)


ALICE = startup(tail=b"\0", user="alice", replication="true")

# --- bytes that are sent in one go ---

STARTS = {
    "tls": request(SSL), "cancel": struct.pack("!IIII", 16, CANCEL, 1, 1),
    "cancel_32": struct.pack("!IIII", 24, CANCEL, 1, 1) + bytes(8),
    "cancel_short": struct.pack("!III", 12, CANCEL, 1),
    "protocol_32": startup(196610, b"\0", user="alice", replication="true"),
    "protocol_39999_and_options": startup(
        206607, b"\0", **{"_pq_.grease": "1", "user": "alice", "_pq_.b": "", "replication": "true"}),
    "options_alone": startup(tail=b"\0", **{"user": "alice", "_pq_.x": "1", "replication": "true"}),
    "protocol_4": startup(262144, b"\0", user="alice"),
    "too_short": b"\0\0\0\x07aaa", "too_long": struct.pack("!II", 10001, 196608), "zero": bytes(8),
    "negative": b"\xff\xff\xff\xff\0\3\0\0", "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "half": ALICE[:20], "nothing": b"", "one_byte": b"\0",
    "no_user": startup(tail=b"\0", replication="true"),
    "empty_user": startup(tail=b"\0", user="", replication="true"),
    "no_end": startup(user="alice", replication="true"),
    "more_than_the_end": startup(tail=b"\0junk\0", user="alice"),
    "no_value": startup(tail=b"user\0", replication="true"),
    "replication_maybe": startup(tail=b"\0", user="alice", replication="maybe"),
    "refused": startup(tail=b"\0", user="bob", replication="true"),
    "no_message_after_it": ALICE,
    "a_query_instead": ALICE + b"Q\0\0\0\x0cSELECT 1"[:13],
    "length_that_lies": ALICE + b"p\xff\xff\xff\xff", "length_of_3": ALICE + b"p\0\0\0\3",
    "too_large": ALICE + b"p" + struct.pack("!I", 70000) + bytes(70000),
    "other_mechanism": ALICE + sasl(FIRST, b"SCRAM-SHA-1"), "plus": ALICE + sasl(
        b"p=tls-server-end-point," + FIRST[1:], b"SCRAM-SHA-256-PLUS"),
    "no_mechanism": ALICE + password(b""), "mechanism_without_end": ALICE + password(b"SCRAM-SHA-256"),
    "no_length": ALICE + password(b"SCRAM-SHA-256\0"),
    "length_of_data_lies": ALICE + password(b"SCRAM-SHA-256\0\0\0\0\x63" + FIRST),
    "data_after_it": ALICE + password(b"SCRAM-SHA-256\0\0\0\0\x01" + FIRST),
    "empty_data": ALICE + sasl(b""),
}
FIRSTS = [
    b"n", b"x,,n=,r=abc", b"y,,n=,r=", b"p=tls-unique,,n=,r=abc", b"p=tls-server-end-point,,n=,r=abc",
    b"n,a=bob,n=,r=abc", b"n,x,n=,r=abc", b"n,,m=ext,n=,r=abc", b"n,,r=abc", b"n,,n=", b"n,,n=,",
    b"n,,n=,x=abc", b"n,,n=,r=ab\x01c", b"n,,n=,r=abc,x", b"n,,n=,r=abc,x=", b"n,,n=,r=abc,9=1",
    b"n,,n=\0,r=abc", b"nn,n=,r=abc", b"n,,n=,r=" + b"a" * 1100, b"n,,n=,rabc", b"N,,n=,r=abc", b",,,",
]
FINALS = [
    b"", b"c=biws", b"c=biws,", b"c=eSws,r=NONCE,p=PROOF", b"c=cD10,r=NONCE,p=PROOF", b"x=biws,r=NONCE,p=PROOF",
    b"c=biws,r=NONCEx,p=PROOF", b"c=biws,r=,p=PROOF", b"c=biws,r=abc,p=PROOF", b"c=biws,r=NONCE",
    b"c=biws,r=NONCE,p=!!!", b"c=biws,r=NONCE,p=", b"c=biws,r=NONCE,p=AAAA", b"c=biws,r=NONCE,p=PROOF,x=1",
    b"c=biws,r=NONCE,p=PROOFx", b"c=biws,r=NONCE,x=1,p=PROOF", b"c=biws,r=NONCE,x,p=PROOF",
    b"c=biws,r=NONCE,p=PROOF", b"c=biws,r=NONCE\0,p=PROOF", b"c=,r=NONCE,p=PROOF",
]


def hears(server, opening, *replies):
    """All that comes back, each reply sent after a message, and then our side closed."""
    with RawClient(server.port) as client:
        client.socket.settimeout(30)
        heard = []
        with contextlib.suppress(ConnectionError, EOFError):
            client.send(opening)
            for reply in replies:
                heard.append(told(*client.receive()))
                client.send(reply(heard[-1]) if callable(reply) else reply)
            client.socket.shutdown(1)
            heard += everything(client)
        return heard


def everything(client):
    """Single bytes that answer requests for encryption, then messages."""
    with contextlib.suppress(ConnectionError, EOFError):
        first = client.receive_exactly(1)
        while first in (b"N", b"S"):
            yield first
            first = client.receive_exactly(1)
        while True:
            length = struct.unpack("!I", client.receive_exactly(4))[0]
            yield told(first.decode(), client.receive_exactly(length - 4))
            first = client.receive_exactly(1)


def told(kind, body):
    if kind == "E":
        fields = {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}
        return kind, fields["S"], fields["C"], fields["M"], fields.get("D")
    return kind, body


def without_nonces(heard):
    """The server's nonces differ: AuthenticationSASLContinue is only compared as being there."""
    return [("R", "continue") if each[0] == "R" and each[1][3] == 11 else each for each in heard]


# PostgreSQL only logs what is wrong with these; the relay may say it aloud.
SILENT = {"cancel_short", "too_short", "too_long", "zero", "negative", "http"}


@pytest.mark.parametrize("name", STARTS)
def test_starts(servers, name):
    theirs, ours = (hears(server, STARTS[name]) for server in servers)
    if name in SILENT:
        assert theirs == [] and [each[:3] for each in ours] in ([], [("E", "FATAL", "08P01")])
    else:
        assert ours == theirs


def test_what_differs_on_purpose(servers):
    """No GSSAPI; version 3 errors for older protocols too; nothing for those who are gone already."""
    server, relay = servers
    assert hears(relay, request(GSS)) == [b"N"]
    for major in (1, 2):
        refused = hears(relay, startup(major << 16, b"\0", user="alice"))
        assert refused == [("E", "FATAL", "0A000", f"unsupported frontend protocol {major}.0: "
                            "server supports 3.0 to 3.0", None)]
    for leave in (b"X\0\0\0\4", b"p\0\0"):
        assert [each[0] for each in hears(server, ALICE + leave)] == ["R", "E"]
        assert [each[0] for each in hears(relay, ALICE + leave)] == ["R"]


def test_first_messages_of_scram(servers):
    for first in FIRSTS:
        theirs, ours = (without_nonces(hears(server, ALICE, sasl(first))) for server in servers)
        assert ours == theirs, first


def test_final_messages_of_scram(servers):
    for final in FINALS:
        def answer(heard, final=final):
            nonce = heard[1][4:].split(b",")[0][2:]
            return password(final.replace(b"NONCE", nonce).replace(b"PROOF", b"A" * 43 + b"="))
        theirs, ours = (without_nonces(hears(server, ALICE, sasl(FIRST), answer)) for server in servers)
        assert ours == theirs, final
