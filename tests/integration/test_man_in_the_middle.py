"""Somebody between client and relay who ends TLS with a certificate of his own, against PostgreSQL in
the same place: neither is taken in, and clients hear the same."""
import contextlib

import pytest

from support import libpq
from support.certificates import Authority
from support.postgres import quote_conninfo
from support.tls_proxy import TlsProxy

RULES = ("hostssl replication alice 127.0.0.1/32 scram-sha-256\n"
         "local all postgres trust\nhost all,replication postgres 127.0.0.1/32 trust\n")


@pytest.fixture(name="targets")
def server_and_relay(site):
    """Both with certificates of the same authority."""
    authority = Authority(site.directory, "authority")
    server = site.primary()
    server.execute("SET password_encryption = 'scram-sha-256'")
    server.execute("CREATE ROLE alice LOGIN REPLICATION PASSWORD 'wonderland'")
    secret = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'")
    relay = site.relay(server, start=False)
    relay.auth_file.write_text(f'"alice" "{secret}"\n')
    relay.hba_file.write_text(RULES)
    (server.data / "pg_hba.conf").write_text(RULES)
    authority.serve(server, "postgres_server")
    authority.serve(relay, "relay_server")
    server.restart()
    relay.start()
    return authority, server, relay


def attempt(port, **parameters):
    words = {"host": "127.0.0.1", "port": port, "user": "alice", "password": "wonderland",
             "replication": "true", "sslcert": "none", "connect_timeout": 60, **parameters}
    return libpq.attempts(libpq.own(), [quote_conninfo(words)])[0][0]


@contextlib.contextmanager
def middle_of(target, certificate, **options):
    proxy = TlsProxy(target.port, certificate, **options)
    yield proxy
    proxy.close()


def heard_through(targets, certificate, strips_plus=False, **parameters):
    """What a client hears through him, which is the same from both; and whether he got that far."""
    heard = []
    for target in targets[1:]:
        with middle_of(target, certificate, strips_plus=strips_plus) as proxy:
            result = attempt(proxy.port, **parameters)
            text = result["text"].replace(str(proxy.port), "PORT").split("\nLOCATION")[0].strip()
            heard.append((result["is_ok"], result["fatal"], text, proxy.inside))
    assert heard[0] == heard[1]
    return heard[1]


def test_a_client_that_verifies_refuses_his_certificate(site, targets):
    own = Authority(site.directory, "strangers").issue("mallory", alternative_names="IP:127.0.0.1")
    is_ok, _, text, inside = heard_through(
        targets, own, sslmode="verify-full", sslrootcert=targets[0].certificate)
    assert not is_ok and inside == 0 and "certificate verify failed" in text


def test_a_certificate_for_another_host_is_refused_too(targets):
    own = targets[0].issue("elsewhere", alternative_names="DNS:elsewhere.example")
    is_ok, _, text, inside = heard_through(
        targets, own, sslmode="verify-full", sslrootcert=targets[0].certificate)
    assert not is_ok and "does not match host name" in text
    assert inside <= 1


@pytest.mark.parametrize("binding", ["prefer", "require"])
def test_channel_binding_fails_where_nothing_else_is_verified(targets, binding):
    own = targets[0].issue("mallory")
    is_ok, fatal, _, inside = heard_through(
        targets, own, sslmode="require", channel_binding=binding)
    assert (is_ok, fatal, inside) == (
        False, [["28000", "SCRAM channel binding check failed"]], 1)


def test_taking_the_offer_of_channel_binding_away_is_noticed(targets):
    own = targets[0].issue("mallory")
    is_ok, fatal, text, _ = heard_through(
        targets, own, strips_plus=True, sslmode="require", channel_binding="require")
    assert not is_ok and not fatal and "channel binding" in text
    is_ok, fatal, _, _ = heard_through(
        targets, own, strips_plus=True, sslmode="require", channel_binding="prefer")
    assert (is_ok, fatal) == (False, [["28000", "SCRAM channel binding negotiation error"]])


def test_a_client_that_wants_no_protection_has_none(targets):
    """What shows that the others were refused for what they say."""
    is_ok, _, _, inside = heard_through(
        targets, targets[0].issue("mallory"), sslmode="require", channel_binding="disable")
    assert is_ok and inside == 1
    assert attempt(targets[2].port, sslmode="require", channel_binding="require")["is_ok"]
