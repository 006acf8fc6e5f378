"""TLS on the listener: every way in, what streams over it, and who is kept out."""
import socket
import ssl
import struct

import psycopg
import pytest

from support.certificates import Authority, client_certificate
from support.load import assert_same_rows
from support.postgres import Postgres
from support.rawclient import RawClient
from support.relay import run_cli
from support.replication import command, connect
from support.wait import wait_until
from support.wal import assert_same_wal, segment_name

SSL, GSS = 80877103, 80877104
RULES = """\
hostssl  replication  secured              127.0.0.1/32  trust
hostssl  replication  alice                127.0.0.1/32  scram-sha-256
hostssl  replication  hub,edge,postgres    127.0.0.1/32  cert
hostssl  replication  both                 127.0.0.1/32  scram-sha-256  clientcert=verify-full
hostnossl replication plain                127.0.0.1/32  trust
"""


@pytest.fixture(name="authority")
def made_authority(site):
    return Authority(site.directory, "authority")


@pytest.fixture(name="primary")
def running_primary(site):
    return site.primary(wal_segsize=1)


@pytest.fixture(name="relay")
def secured_relay(site, primary, authority):
    relay = site.relay(primary, start=False)
    relay.hba_file.write_text(RULES)
    relay.auth_file.write_text("".join(
        run_cli("user", name, text_input="wonderland\n").stdout for name in ("alice", "both")))
    authority.serve(relay)
    return relay.start()


def verified(relay, authority, user, **parameters):
    return relay.conninfo(user=user, sslmode="verify-full", sslrootcert=authority.certificate,
                          **parameters)


def log_in(conninfo):
    with connect(conninfo) as connection:
        assert connection.execute("IDENTIFY_SYSTEM").fetchone()[0]
        return connection.pgconn


def refusal(conninfo):
    with pytest.raises(psycopg.OperationalError) as refused:
        log_in(conninfo)
    return str(refused.value)


def test_verified_clients_come_in(relay, authority):
    log_in(verified(relay, authority, "secured"))
    log_in(verified(relay, authority, "secured", ssl_min_protocol_version="TLSv1.3"))
    log_in(verified(relay, authority, "secured", ssl_max_protocol_version="TLSv1.2"))
    assert "no pg_hba.conf entry" in refusal(verified(relay, authority, "plain"))
    assert "no encryption" in refusal(relay.conninfo(user="secured", sslmode="disable"))
    log_in(relay.conninfo(user="plain", sslmode="disable"))


def test_channel_binding(relay, authority):
    required = verified(relay, authority, "alice", password="wonderland", channel_binding="require")
    log_in(required)
    log_in(required.replace("require", "disable"))
    assert "password authentication failed" in refusal(required.replace("wonderland", "x"))


def test_client_certificates(site, relay, authority):
    hub, both = authority.issue("hub"), authority.issue("both")
    log_in(verified(relay, authority, "hub", **client_certificate(hub)))
    assert "requires a valid client certificate" in refusal(
        verified(relay, authority, "hub", sslcert="none"))
    assert 'certificate authentication failed for user "edge"' in refusal(
        verified(relay, authority, "edge", **client_certificate(hub)))
    log_in(verified(relay, authority, "both", password="wonderland", **client_certificate(both)))
    for who, password in [(hub, "wonderland"), (both, "wrong")]:
        assert "authentication failed" in refusal(verified(
            relay, authority, "both", password=password, **client_certificate(who)))
    named = authority.issue("host7", alternative_names="DNS:host7.example,DNS:edge")
    log_in(verified(relay, authority, "edge", **client_certificate(named)))
    expired = authority.issue("expired", "hub", expired=True)
    stranger = Authority(site.directory, "strangers").issue("stranger", "hub")
    before = relay.log_size()
    for who, reason in [(expired, "certificate has expired"),
                        (stranger, "unable to get local issuer certificate")]:
        assert "alert" in refusal(verified(relay, authority, "hub", **client_certificate(who)))
        relay.wait_for_log(reason, before)


def test_revoked_certificates(relay, authority):
    good, bad = authority.issue("good", "hub"), authority.issue("bad", "hub")
    log_in(verified(relay, authority, "hub", **client_certificate(bad)))
    authority.revoke(bad[0])
    relay.configure("relay", tls_crl=authority.revocations())
    relay.wait_for_log("configuration reloaded", relay.reload())
    log_in(verified(relay, authority, "hub", **client_certificate(good)))
    before = relay.log_size()
    assert "revoked" in refusal(verified(relay, authority, "hub", **client_certificate(bad)))
    relay.wait_for_log("certificate revoked", before)


def test_reload_takes_new_certificates_and_drops_nobody(site, relay, primary, authority):
    postgres = authority.issue("postgres")
    standby = site.standby(primary, relay, "standby", start=False)
    standby.follow(verified(relay, authority, "postgres", **client_certificate(postgres)))
    standby.start().catch_up(primary)
    receiver = standby.value("SELECT pid FROM pg_stat_wal_receiver")
    others = Authority(site.directory, "others")
    others.serve(relay)
    relay.wait_for_log("configuration reloaded", relay.reload())
    log_in(verified(relay, others, "secured"))
    assert "certificate verify failed" in refusal(verified(relay, authority, "secured"))
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    assert standby.value("SELECT pid FROM pg_stat_wal_receiver") == receiver

    relay.configure("relay", tls_key=authority.issue("unrelated")[1])
    before = relay.reload()
    relay.wait_for_log('"tls_key": .* is not the key of the certificate', before)
    relay.wait_for_log("the old one stays in force", before)
    log_in(verified(relay, others, "secured"))


def test_everything_streams_over_tls(site, relay, primary, authority):
    """A base backup, a standby and pg_receivewal, all with client certificates."""
    conninfo = verified(relay, authority, "postgres",
                        **client_certificate(authority.issue("postgres")))
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(conninfo, "-X", "stream", client_bin=site.client_bin)
    standby.follow(conninfo).start()
    receiver = site.receivewal(relay, start=False)
    receiver.command[receiver.command.index("-d") + 1] = conninfo
    receiver.start()
    load = site.pgbench(primary)
    relay.wait_received(primary.flush_lsn() + (2 << 20), deadline=120)
    load.stop()
    end = primary.switch_wal()
    standby.catch_up(primary)
    assert_same_rows(primary, standby)
    last = segment_name(1, end - 1, primary.wal_segment_bytes)
    wait_until((receiver.wal / last).exists, what="the last segment to be received")
    assert_same_wal(receiver.wal, primary.pg_wal, end, primary.wal_segment_bytes, at_least=2)


def test_the_wire_is_counted_as_the_kernel_sees_it(relay, authority):
    """A query costs its own bytes, and 22 more for the record's header, type and tag."""
    def received():
        return next(each["wire_received_bytes"] for each in relay.status()["standbys"]
                    if each["application_name"] == "counted")
    with connect(verified(relay, authority, "secured", application_name="counted")) as connection:
        before = wait_until(received)
        connection.execute("IDENTIFY_SYSTEM").fetchone()
        wait_until(lambda: received() == before + len("Q....IDENTIFY_SYSTEM.") + 22)


def test_requests_for_encryption(relay):
    with RawClient(relay.port) as client:
        assert client.request(GSS) == b"N"
        assert client.request(SSL) == b"S"
    with RawClient(relay.port) as client:
        client.send(struct.pack("!II", 8, SSL) + b"smuggled")
        refused = client.fatal()
        assert (refused["C"], refused["M"]) == (
            "08P01", "received unencrypted data after SSL request")
        assert client.is_closed()
    with RawClient(relay.port) as client:
        assert client.request(SSL) == b"S"
        client.startup(user="plain", replication="true")
        assert client.is_closed()


def shake_hands(client, authority, protocols, version=ssl.TLSVersion.TLSv1_3):
    """TLS from here on; protocols: what ALPN offers, [] for no ALPN."""
    context = ssl.create_default_context(cafile=authority.certificate)
    context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                         ids=["1.2", "1.3"])
def test_direct_tls_is_for_those_who_name_postgresql(relay, authority, version):
    """As in PostgreSQL 17: who asked for TLS in words need not, but may name nothing else."""
    def has_come_in(client):
        client.startup(user="secured", replication="true")
        return client.receive() == ("R", struct.pack("!I", 0))
    for protocols in (["postgresql"], ["h2", "postgresql"]):
        with RawClient(relay.port) as client:
            shake_hands(client, authority, protocols, version)
            assert client.socket.selected_alpn_protocol() == "postgresql"
            assert has_come_in(client)
    before = relay.log_size()
    with RawClient(relay.port) as client:
        shake_hands(client, authority, [], version)
        relay.wait_for_log("received direct SSL connection request without ALPN protocol "
                           "negotiation extension", before)
        assert client.is_closed()
    for ask in (lambda client: None, lambda client: client.request(SSL)):
        before = relay.log_size()
        with RawClient(relay.port) as client:
            ask(client)
            with pytest.raises(ssl.SSLError, match="alert no application protocol"):
                shake_hands(client, authority, ["http/1.1", "postgres"], version)
        relay.wait_for_log("no application protocol", before)
    with RawClient(relay.port) as client:
        assert client.request(SSL) == b"S"
        shake_hands(client, authority, [], version)
        assert has_come_in(client)


def test_direct_tls_where_there_is_none(site, primary, authority):
    relay = site.relay(primary)
    with RawClient(relay.port) as client, pytest.raises((ssl.SSLError, OSError)):
        shake_hands(client, authority, ["postgresql"])
    relay.wait_for_log("direct TLS, which is not offered")


def test_a_unix_socket_has_no_tls(site, primary, authority):
    relay = site.relay(primary, start=False)
    authority.serve(relay)
    relay.configure("relay", listen=f"127.0.0.1:{relay.port}, {relay.directory}").start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{relay.directory}/.s.PGSQL.{relay.port}")
        client.sendall(struct.pack("!II", 8, SSL))
        assert client.recv(1) == b"N"


def test_hub_and_edge_know_each_other_by_certificates(site, relay, authority):
    shown = client_certificate(authority.issue("edge"))
    edge = site.relay(verified(relay, authority, "edge", **shown), "edge")
    assert edge.is_connected()
    assert command(edge, "IDENTIFY_SYSTEM")
    checked = run_cli("check", "-c", edge.config_file)
    assert checked.returncode == 0, checked.stderr
    stranger = site.relay(verified(relay, authority, "hub", **shown), "stranger", start=False)
    stranger.start(wait=False)
    stranger.wait_for_log('certificate authentication failed for user "hub"')
