"""Who gets in, and with what words the others are sent away: the relay against PostgreSQL with the
same pg_hba.conf, the same verifiers and certificates, through the machine's own libpq and the newest.

What differs on purpose is not asked here: the relay has no list of roles (`trust` and `cert` let in
whom the rule names), and a database other than its console is refused before any rule is read.
"""
import os
import re
import tempfile
from pathlib import Path

import pytest

from support import libpq
from support.certificates import Authority
from support.ports import has_ipv6
from support.postgres import quote_conninfo

PASSWORD = "open sesame"
SECRETS = {"good": {"password": PASSWORD}, "wrong": {"password": "x"}, "none": {}}
METHODS = ["trust", "reject", "scram-sha-256"]
CERTIFICATE_METHODS = ["cert", "trust clientcert=verify-ca", "trust clientcert=verify-full",
                       "scram-sha-256 clientcert=verify-ca", "scram-sha-256 clientcert=verify-full",
                       "reject clientcert=verify-ca"]
NAMES = ['Alice', 'two words', 'a,b', 'say "what"', 'all', 'replication', '+group', 'x#y']


# After a refused certificate the server's alert and its close race with what the client sends.
CUT = re.compile("alert|closed the connection|Connection reset|Broken pipe")


def rules_of_methods():
    """A user for each connection type and method: (user, type, method)."""
    for kind in ("host", "hostssl", "hostnossl", "local"):
        for method in METHODS + (CERTIFICATE_METHODS if kind == "hostssl" else []):
            yield re.sub(r"\W", "_", f"{kind} {method}"), kind, method


def rule(kind, user, method, database="replication", address="127.0.0.1/32"):
    return f"{kind} {database} {user} {'' if kind == 'local' else address} {method}\n"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def all_rules():
    text = "".join(rule(kind, user, method) for user, kind, method in rules_of_methods())
    text += "".join(rule("host", quoted(name), "scram-sha-256") for name in NAMES if name != "x#y")
    text += 'host "replication" quoted_database 127.0.0.1/32 trust\n'
    text += "host all,walrelay any_database all trust\n"
    text += "host walrelay,replication both_databases 127.0.0.1/32 scram-sha-256\n"
    # The first that matches decides, whatever comes after it.
    text += "hostssl replication first all reject\nhost all,replication first all trust\n"
    text += "host replication second 10.0.0.0/8 reject\nhost replication second samehost trust\n"
    text += "host replication masked 127.0.0.0 255.0.0.0 scram-sha-256\n"
    text += "host replication of_host samehost trust\nhost replication of_net samenet trust\n"
    text += "host replication six ::1/128 scram-sha-256\nhost replication six_all ::/0 trust\n"
    text += "host replication ghost,nobody 127.0.0.1/32 scram-sha-256\n"
    text += "host replication ghost_rejected all reject\n"
    return text + "local all postgres trust\nhost all,replication postgres 127.0.0.1/32 trust\n"


def role_names():
    special = ["quoted_database", "any_database", "both_databases", "first", "second", "masked",
               "of_host", "of_net", "six", "six_all", "without_password"]
    return [user for user, _, _ in rules_of_methods()] + NAMES + special


LOOPBACKS = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]


def make_roles(primary):
    primary.execute("SET password_encryption = 'scram-sha-256'")
    for name in role_names():
        secret = "" if name == "without_password" else f"PASSWORD '{PASSWORD}'"
        primary.execute(f"CREATE ROLE {quoted(name)} LOGIN REPLICATION {secret}")
    primary.execute("CREATE DATABASE walrelay")


def verifiers(primary):
    """The same, as auth_file has them."""
    rows = primary.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")
    return "".join(f"{quoted(name)} {quoted(secret)}\n" for name, secret in rows)


class Pair:
    """A server and a relay behind it, with one set of rules."""

    def __init__(self, site, with_tls):
        self.authority = Authority(site.directory, "authority")
        self.strangers = Authority(site.directory, "strangers")
        addresses = ",".join(LOOPBACKS)
        self.server = site.primary(listen_addresses=f"'{addresses}'")
        make_roles(self.server)
        self.relay = site.relay(self.server, start=False)
        listen = [f"[{host}]:{self.relay.port}" if ":" in host else f"{host}:{self.relay.port}"
                  for host in LOOPBACKS]
        self.relay.configure("relay", listen=", ".join([*listen, str(self.relay.directory)]))
        self.relay.auth_file.write_text(verifiers(self.server))
        rules = all_rules()
        if with_tls:
            self.issued = {"of_another": self.authority.issue("somebody else"),
                           "expired": self.authority.issue("expired", expired=True),
                           "of_strangers": self.strangers.issue("stranger")}
            self.serve_tls()
        else:
            rules = "".join(line for line in rules.splitlines(keepends=True)
                            if "clientcert" not in line and not line.endswith(" cert\n"))
        self.relay.hba_file.write_text(rules)
        (self.server.data / "pg_hba.conf").write_text(rules)
        self.server.restart()
        self.relay.start()

    def serve_tls(self):
        revoked = self.authority.issue("revoked")
        self.authority.revoke(revoked[0])
        self.issued["revoked"] = revoked
        revocations = self.authority.revocations()
        self.authority.serve(self.relay, "relay_server")
        self.authority.serve(self.server, "postgres_server")
        self.server.configure(ssl_crl_file=f"'{revocations}'")
        self.relay.configure("relay", tls_crl=revocations)

    def certificate(self, name, user):
        """libpq's words for a certificate: the user's own, or one of the others."""
        if name == "none":
            return {"sslcert": "none"}
        if name == "own" and user not in self.issued:
            self.issued[user] = self.authority.issue(user)
        shown = self.issued[user if name == "own" else name]
        return {"sslcert": shown[0], "sslkey": shown[1]}

    def outcomes(self, path, cases):
        """For each case what the server and what the relay made of it."""
        both = []
        for listener in (self.server, self.relay):
            results, _ = libpq.attempts(path, [self.conninfo(listener, case) for case in cases])
            both.append([outcome(result, listener) for result in results])
        return zip(cases, *both)

    def conninfo(self, listener, case):
        words = {"host": "127.0.0.1", "port": listener.port, "gssencmode": "disable",
                 "replication": "true", "sslmode": "disable", "connect_timeout": 60, **case}
        if words["host"] == "local":
            words["host"] = listener.directory
        return quote_conninfo({key: value for key, value in words.items() if value is not None})


def outcome(result, listener):
    """Comparable between two servers: the errors of the server, or else what libpq says itself."""
    if result["is_ok"]:
        return "in", result["protocol"]
    fatal = [tuple(each) for each in result["fatal"]]
    if fatal:
        return fatal
    if CUT.search(result["text"]):
        return ["cut in the handshake"]
    return [result["text"].replace(str(listener.port), "PORT").replace(str(listener.directory), "DIR")]


def compare(pair, path, cases):
    differing = [f"{case}: PostgreSQL {theirs}, relay {ours}"
                 for case, theirs, ours in pair.outcomes(path, cases) if theirs != ours]
    assert not differing, "\n" + "\n".join(differing)


# --- what is asked ---

def method_cases(pair, with_tls):
    """Each user with each secret over each way in; who asks for certificates gets each of them."""
    ways = [{"sslmode": "disable"}, {"host": "local"}]
    if with_tls:
        ways.append({"sslmode": "verify-full", "sslrootcert": pair.authority.certificate})
        ways.append({"sslmode": "require", "ssl_max_protocol_version": "TLSv1.2"})
    for user, kind, method in rules_of_methods():
        asks = kind == "hostssl" and method in CERTIFICATE_METHODS
        for way in ways:
            over_tls = way.get("sslmode", "disable") != "disable"
            shown = ["none"]
            if over_tls and asks:
                shown += ["own", "of_another", "expired", "of_strangers", "revoked"]
            for certificate in shown:
                extra = pair.certificate(certificate, user) if over_tls else {}
                for secret in SECRETS.values():
                    yield {"user": user, **way, **extra, **secret}


def other_cases(with_tls):
    """Names, addresses, databases and the order of rules."""
    ways = [{"sslmode": "disable"}] + ([{"sslmode": "require", "sslcert": "none"}] if with_tls else [])
    names = NAMES + ["alice", "two", "nobody", "ghost", "ghost_rejected", "without_password", "first",
                     "second", "masked", "of_host", "of_net", "six", "six_all", "quoted_database",
                     "any_database", "both_databases", "", "a" * 80]
    for way in ways:
        for host in [*LOOPBACKS, "local"]:
            for user in names:
                for secret in SECRETS.values():
                    yield {"host": host, "user": user or None, **way, **secret}
        for database in ("replication", "postgres", "walrelay", "no such database"):
            for user in ("both_databases", "quoted_database", "any_database", "masked"):
                yield {"user": user, "dbname": database, **way, **SECRETS["good"]}


def console_cases():
    for user in ("both_databases", "quoted_database", "masked", "first", "ghost", "host_reject"):
        for secret in SECRETS.values():
            yield {"user": user, "dbname": "walrelay", "replication": None, **secret}


def binding_cases(pair):
    """What libpq itself insists on."""
    verified = {"sslmode": "verify-full", "sslrootcert": pair.authority.certificate, "sslcert": "none"}
    for user in ("host_scram_sha_256", "hostssl_scram_sha_256", "hostnossl_scram_sha_256", "host_trust",
                 "host_reject"):
        for secret in SECRETS.values():
            for binding in ("require", "disable"):
                yield {"user": user, "channel_binding": binding, **secret, **verified}
                yield {"user": user, "channel_binding": binding, **secret}
            for mode in ("prefer", "allow"):
                yield {"user": user, "sslcert": "none", **secret, "sslmode": mode}


def newer_cases():
    """Protocols and demands of libpq 16 to 18."""
    for user in ("host_scram_sha_256", "hostnossl_trust"):
        for protocol in ("3.0", "3.2", "latest"):
            yield {"user": user, "max_protocol_version": protocol, **SECRETS["good"]}
        yield {"user": user, "min_protocol_version": "3.2", "max_protocol_version": "3.2",
               **SECRETS["good"]}
        for demand in ("scram-sha-256", "none", "!none", "password,md5", "!scram-sha-256"):
            yield {"user": user, "require_auth": demand, **SECRETS["good"]}


# --- the tests ---

@pytest.fixture(name="path", params=["own", "newest"], scope="module")
def libpq_path(request):
    if request.param == "own":
        return libpq.own()
    cache = Path(os.environ.get("WALRELAY_TEST_CACHE") or tempfile.gettempdir()) / "postgres"
    try:
        return libpq.newest(cache)
    except (OSError, TimeoutError, ValueError) as failure:
        pytest.skip(f"the newest libpq cannot be fetched: {failure}")


@pytest.mark.parametrize("with_tls", [True, False])
def test_methods_names_addresses_and_databases(site, path, with_tls):
    pair = Pair(site, with_tls)
    compare(pair, path, [*method_cases(pair, with_tls), *other_cases(with_tls)])


def test_what_libpq_insists_on(site, path):
    pair = Pair(site, True)
    cases = list(binding_cases(pair))
    if libpq.version(path) >= 180000:
        cases += newer_cases()
    compare(pair, path, cases)
    verified = {"user": "host_scram_sha_256", "sslmode": "verify-full", "sslcert": "none",
                "sslrootcert": pair.authority.certificate, "channel_binding": "require"}
    for way in [{}] + ([{"sslnegotiation": "direct"}] if libpq.version(path) >= 170000 else []):
        for secret in SECRETS:
            case = {**verified, **way, **SECRETS[secret]}
            result = libpq.attempts(path, [pair.conninfo(pair.relay, case)])[0][0]
            assert result["is_ok"] == (secret == "good"), (case, result["text"])


def test_the_console(site, path):
    """Whom the rules of its database let in; PostgreSQL then has a session, the relay its console."""
    pair = Pair(site, False)
    for case, theirs, ours in pair.outcomes(path, list(console_cases())):
        if theirs[0] == "in":
            assert ours[0] == "in" or ours[0][0] not in ("28000", "28P01"), (case, ours)
        else:
            assert ours == theirs, case
