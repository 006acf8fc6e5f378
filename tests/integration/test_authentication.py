"""Who may connect: hba rules and SCRAM verifiers, and nothing tells a wrong user from a wrong
password."""
import struct

import psycopg
import pytest

from support.rawclient import RawClient
from support.relay import run_cli
from support.replication import connect

RULES = """\
# TYPE  DATABASE     USER       ADDRESS        METHOD
host    replication  trusted    127.0.0.1/32   trust
host    replication  rejected   127.0.0.1/32   reject
host    replication  alice,bob  127.0.0.1/32   scram-sha-256
host    replication  nobody     127.0.0.1/32   scram-sha-256
host    replication  far        10.0.0.0/8     trust
"""


@pytest.fixture(name="relay")
def guarded_relay(site):
    relay = site.relay(site.primary(), start=False)
    relay.hba_file.write_text(RULES)
    relay.auth_file.write_text("".join(
        run_cli("user", name, text_input=f"{password}\n").stdout
        for name, password in [("alice", "wonderland"), ("bob", "ünïcode ' \" pass")]))
    return relay.start()


def system(relay, user, **parameters):
    with connect(relay.conninfo(user=user), **parameters) as connection:
        return connection.execute("IDENTIFY_SYSTEM").fetchone()[0]


def refusal(relay, user, **parameters):
    with pytest.raises(psycopg.OperationalError) as refused:
        system(relay, user, **parameters)
    return str(refused.value)


def test_trust_and_scram_let_in(relay):
    assert system(relay, "trusted")
    assert system(relay, "alice", password="wonderland")
    assert system(relay, "bob", password="ünïcode ' \" pass")


def test_refusals_have_postgres_words(relay):
    wrong = refusal(relay, "alice", password="looking-glass")
    assert 'password authentication failed for user "alice"' in wrong
    unknown = refusal(relay, "nobody", password="wonderland")
    assert unknown.replace("nobody", "alice").split("FATAL")[1] == wrong.split("FATAL")[1]
    assert "no password supplied" in refusal(relay, "alice")
    assert "pg_hba.conf rejects replication connection" in refusal(relay, "rejected")
    for user in ("far", "stranger"):
        assert ("no pg_hba.conf entry for replication connection from host "
                f'"127.0.0.1", user "{user}"') in refusal(relay, user)


def test_sqlstates(relay):
    from psycopg import pq
    for user, password, sqlstate in [("stranger", "", "28000"), ("alice", "wrong", "28P01")]:
        conninfo = relay.conninfo(user=user, password=password or "x", replication="true")
        connection = pq.PGconn.connect(conninfo.encode())
        assert connection.status == pq.ConnStatus.BAD
        # libpq keeps no SQLSTATE of a failed connection; psql's verbose text does not either, so
        # the raw answer is read.
        assert raw_sqlstate(relay, user, password) == sqlstate
        connection.finish()


def raw_sqlstate(relay, user, password):
    """SQLSTATE of the FATAL a connection gets; SCRAM is spoken only as far as a wrong proof."""
    from support.rawclient import RawClient
    with RawClient(relay.port) as client:
        client.startup(user=user, replication="true")
        if password:
            client.wrong_scram()
        return client.fatal()["C"]


def salt_of(relay, user):
    """From the first answer of SCRAM, which is given to anybody."""
    first = b"n,,n=,r=abcdefgh"
    body = b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first
    with RawClient(relay.port) as client:
        client.startup(user=user, replication="true")
        client.receive_until("R")
        client.send(b"p" + struct.pack("!I", len(body) + 4) + body)
        return client.receive()[1][4:].split(b",")[1]


def test_salts_stay_over_a_restart_whether_or_not_there_is_such_a_user(relay):
    users = ["alice", "nobody"]
    before = [salt_of(relay, user) for user in users]
    assert all(salt.startswith(b"s=") for salt in before)
    relay.stop()
    relay.start()
    assert [salt_of(relay, user) for user in users] == before


def test_rules_and_users_are_read_again_on_reload(relay):
    assert "password authentication failed" in refusal(relay, "alice", password="new")
    relay.auth_file.write_text(run_cli("user", "alice", text_input="new\n").stdout)
    relay.hba_file.write_text(RULES.replace("rejected   127.0.0.1/32   reject",
                                            "rejected   127.0.0.1/32   trust"))
    before = relay.reload()
    relay.wait_for_log("(?i)reload", before)
    assert system(relay, "alice", password="new")
    assert system(relay, "rejected")
    assert "password authentication failed" in refusal(relay, "alice", password="wonderland")


def test_without_an_hba_file_local_is_trusted_and_loopback_is_asked(site):
    relay = site.relay(site.primary(), start=False)
    relay.auth_file.write_text(run_cli("user", "alice", text_input="wonderland\n").stdout)
    relay.configure("relay", hba_file=None,
                    listen=f"127.0.0.1:{relay.port}, {relay.directory}").start()
    assert "no password supplied" in refusal(relay, "alice")
    assert system(relay, "alice", password="wonderland")
    assert system(relay, "anybody", host=str(relay.directory))


def test_upstream_password_and_its_secrecy(site):
    """The relay logs in to a primary that asks for a password, and never shows it."""
    primary = site.primary()
    primary.execute("CREATE ROLE rep LOGIN REPLICATION PASSWORD 'sesame-open'")
    (primary.data / "pg_hba.conf").write_text(
        "host replication rep 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n")
    primary.reload()
    relay = site.relay(primary.conninfo(user="rep", password="sesame-open"), start=False,
                       relay={"log_level": "debug"})
    relay.start()
    assert relay.is_connected()
    checked = run_cli("check", "-c", relay.config_file)
    assert checked.returncode == 0
    for text in (relay.log_text(), checked.stdout, relay.get("/api/status")[1],
                 relay.get("/metrics")[1]):
        assert "sesame" not in text
