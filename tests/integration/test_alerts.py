"""Alerts: what is wrong reaches a real mail server and a real web hook, once, whatever is down
meanwhile, and no secret shows anywhere."""
import re
import time

import pytest

from support.certificates import Authority
from support.load import write_wal
from support.receivers import Hook, Mailbox
from support.relay import run_cli
from support.wait import holds_for, wait_until

FAR = "destination far"
PASSWORD = "open sesame 4711"


@pytest.fixture
def hook():
    made = Hook().start()
    yield made
    made.stop()


@pytest.fixture
def mailboxes():
    """Makes mailboxes that are gone with the test."""
    made = []

    def make(*arguments, **options):
        made.append(Mailbox(*arguments, **options).start())
        return made[-1]
    yield make
    for mailbox in made:
        mailbox.stop()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """What the machine sends elsewhere, and trusts, is none of this."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "SSL_CERT_FILE",
                 "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def mail_options(mailbox, **more):
    return {"smtp_url": mailbox.url, "mail_from": "relay@db.example",
            "mail_to": "dba@db.example, ops@db.example", **more}


def password_file(site, text=PASSWORD):
    path = site.directory / "password"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def delivered(relay, channel):
    return relay.metric("alert_deliveries_total", channel=channel)


def limited(site, primary, alerts, **destination):
    """A relay with a client of a destination whose daily limit is 10 MB."""
    relay = site.relay(primary, alerts=alerts, **{
        FAR: {"match": "application far", "daily_limit": "10MB", "warn_at": "50%", **destination}})
    site.receivewal(relay, "far")
    wait_until(lambda: relay.status()["standbys"])
    return relay


def wait_on(relay, alert, deadline=60):
    wait_until(lambda: alert in [one["alert"] for one in relay.status()["alerts"]], deadline,
               f"{alert} to be on")


def test_mail_over_starttls_with_a_login_and_a_web_hook(site, hook, mailboxes):
    authority = Authority(site.directory, "authority")
    certificate = authority.issue("mail", "127.0.0.1", alternative_names="IP:127.0.0.1")
    mailbox = mailboxes("starttls", certificate, ("alarm", PASSWORD))
    token = site.directory / "token"
    token.write_text("token-4711")
    token.chmod(0o600)
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(
        mailbox, smtp_user="alarm", smtp_password_file=password_file(site),
        ca_file=authority.certificate, webhook_url=hook.url, webhook_token_file=token),
        over_limit="pause")
    write_wal(primary, 6)
    wait_until(lambda: len(mailbox.mails) == 1 and len(hook.taken) == 1, 60, "the warning")
    write_wal(primary, 8)
    wait_until(lambda: len(mailbox.mails) == 2 and len(hook.taken) == 2, 60, "the limit")
    relay.configure(FAR, daily_limit="10GB").reload()
    wait_until(lambda: len(mailbox.mails) == 3 and len(hook.taken) == 3, 60, "the recovery")

    assert hook.told() == [("daily_limit_warning", "raised"), ("daily_limit_over", "raised"),
                           ("daily_limit_over", "recovered")]
    over = hook.taken[1]
    assert over["relay"] == "relay" and over["subject"] == "far" and over["severity"] == "critical"
    assert over["figures"]["limit_bytes"] == 10 << 20 <= over["figures"]["used_bytes"]
    assert re.search(r'"far" has used 1\d\.\d MB of its daily limit of 10\.0 MB \(1\d\d %\); '
                     "it is paused until the day ends", over["text"]), over
    assert "daily_limit" in over["advice"]
    assert len({one["id"] for one in hook.taken}) == 3
    assert set(hook.authorizations) == {"Bearer token-4711"}

    assert mailbox.subjects() == ["[walrelay relay] WARNING: daily_limit_warning far",
                                  "[walrelay relay] CRITICAL: daily_limit_over far",
                                  "[walrelay relay] recovered: daily_limit_over far"]
    assert set(mailbox.logins) == {("alarm", PASSWORD)}
    assert all(is_encrypted and envelope.mail_from == "relay@db.example"
               and envelope.rcpt_tos == ["dba@db.example", "ops@db.example"]
               for is_encrypted, envelope in mailbox.envelopes)
    for mail in mailbox.mails:
        assert mail["Date"].datetime and mail["Message-ID"].endswith("@db.example>")
        assert "relay:     relay" in mail.get_content() and "since:" in mail.get_content()
    assert not mailbox.mails[1].defects

    assert delivered(relay, "mail") == delivered(relay, "webhook") == 3
    assert relay.metric("alerts", alert="daily_limit_over") is None
    assert relay.status()["alerts"] == []
    check = run_cli("check", "-c", relay.config_file)
    assert check.returncode == 0, check.stderr
    for text in (relay.log_text(), check.stdout, check.stderr, relay.get("/api/status")[1],
                 relay.get("/metrics")[1]):
        for secret in (PASSWORD, "topsecret", "token-4711"):
            assert secret not in text


def test_implicit_tls_and_an_authority_that_is_not_believed(site, mailboxes):
    authority, other = Authority(site.directory, "authority"), Authority(site.directory, "other")
    certificate = authority.issue("mail", "127.0.0.1", alternative_names="IP:127.0.0.1")
    mailbox = mailboxes("implicit", certificate)
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(mailbox, ca_file=other.certificate))
    write_wal(primary, 12)
    wait_until(lambda: relay.metric("alert_delivery_failures_total", channel="mail") >= 2, 60)
    relay.wait_for_log("could not deliver by mail, tried again until it works: .*certificate")
    assert mailbox.envelopes == []
    assert relay.status()["alert_channels"]["mail"]["pending"] >= 1
    relay.configure("alerts", ca_file=authority.certificate).reload()
    wait_until(lambda: "[walrelay relay] CRITICAL: daily_limit_over far" in mailbox.subjects(), 60)
    assert all(is_encrypted for is_encrypted, _ in mailbox.envelopes)
    assert len(set(mailbox.subjects())) == len(mailbox.envelopes)


def test_a_password_never_goes_in_clear_nor_to_a_server_that_refuses_it(site, mailboxes):
    plain = mailboxes(None, None, ("alarm", PASSWORD))
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(
        plain, smtp_user="alarm", smtp_password_file=password_file(site)))
    write_wal(primary, 12)
    wait_until(lambda: relay.metric("alert_delivery_failures_total", channel="mail") >= 1, 60)
    assert plain.logins == [] and plain.envelopes == []

    authority = Authority(site.directory, "authority")
    certificate = authority.issue("mail", "127.0.0.1", alternative_names="IP:127.0.0.1")
    strict = mailboxes("starttls", certificate, ("alarm", "another"))
    relay.configure("alerts", smtp_url=strict.url, ca_file=authority.certificate).reload()
    wait_until(lambda: strict.logins, 60)
    assert strict.envelopes == []
    strict.login = ("alarm", PASSWORD)
    wait_until(lambda: "[walrelay relay] CRITICAL: daily_limit_over far" in strict.subjects(), 60)
    assert PASSWORD not in relay.log_text()


def test_a_mail_server_that_falls_silent_keeps_nobody_from_stopping(site, mailboxes, proxy):
    mailbox = mailboxes()
    path = proxy(mailbox)
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(
        mailbox, smtp_url=f"smtp://127.0.0.1:{path.port}"))
    write_wal(primary, 12)
    wait_until(lambda: "[walrelay relay] CRITICAL: daily_limit_over far" in mailbox.subjects(), 60)
    while path.count() > 0:
        path.freeze_newest()
    relay.stop()


@pytest.mark.long
def test_both_down_for_a_minute_then_delivered_once(site, hook, mailboxes):
    mailbox = mailboxes()
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(mailbox, webhook_url=hook.url))
    mailbox.stop()
    hook.stop()
    began = time.monotonic()
    write_wal(primary, 12)
    wait_on(relay, "daily_limit_over")
    for channel in ("mail", "webhook"):
        wait_until(lambda c=channel:
                   relay.metric("alert_delivery_failures_total", channel=c) >= 3, 60)
    # Meanwhile nothing waits for them.
    write_wal(primary, 4)
    relay.wait_flushed(primary.flush_lsn())
    holds_for(lambda: relay.status()["alert_channels"]["mail"]["pending"] > 0,
              60 - (time.monotonic() - began))
    mailbox.start()
    hook.start()
    wait_until(lambda: relay.status()["alert_channels"]["mail"]["pending"] == 0
               and relay.status()["alert_channels"]["webhook"]["pending"] == 0, 90)
    holds_for(lambda: len(hook.told("daily_limit_over")) == 1, 10)
    assert hook.told("daily_limit_over") == [("daily_limit_over", "raised")]
    assert len(set(hook.told())) == len(hook.taken)
    assert len(set(mailbox.subjects())) == len(mailbox.envelopes)
    assert "[walrelay relay] CRITICAL: daily_limit_over far" in mailbox.subjects()


def test_what_was_not_delivered_before_a_kill_is_delivered_once_after_it(site, hook, mailboxes):
    mailbox = mailboxes()
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, mail_options(mailbox, webhook_url=hook.url))
    hook.status = 503
    mailbox.stop()
    write_wal(primary, 12)
    wait_on(relay, "daily_limit_over")
    wait_until(lambda: hook.refused >= 1 and relay.metric(
        "alert_delivery_failures_total", channel="mail") >= 1, 60)
    relay.kill9()
    hook.status = 200
    mailbox.start()
    relay.start()
    wait_until(lambda: hook.told("daily_limit_over") == [("daily_limit_over", "raised")], 60)
    wait_until(lambda: "[walrelay relay] CRITICAL: daily_limit_over far" in mailbox.subjects(), 60)
    # It is known as told: neither this start nor the next one says it again.
    relay.kill9()
    relay.start()
    wait_on(relay, "daily_limit_over")
    holds_for(lambda: hook.told("daily_limit_over") == [("daily_limit_over", "raised")], 3)
    assert len(set(hook.told())) == len(hook.taken)
    assert len(set(mailbox.subjects())) == len(mailbox.envelopes)
    # Nor does a stop say that anything is well again.
    relay.stop()
    assert all(event == "raised" for _, event in hook.told())


def test_a_limit_that_is_reached_while_nobody_listens_is_told_by_log_and_status(site):
    primary = site.primary(wal_segsize=1)
    relay = limited(site, primary, {})
    write_wal(primary, 12)
    wait_on(relay, "daily_limit_over")
    relay.wait_for_log('ERROR.*daily_limit_over raised: destination "far" has used')
    assert relay.metric("alerts", alert="daily_limit_over", subject="far", severity="critical") == 1
    screen = run_cli("status", "-c", relay.config_file)
    assert re.search(r'^critical  daily_limit_over since .*\n +destination "far" has used',
                     screen.stdout, re.MULTILINE), screen.stdout


def test_many_alerts_at_once_are_one_mail_and_each_for_the_hook(site, hook, mailboxes):
    mailbox = mailboxes()
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, alerts=mail_options(mailbox, webhook_url=hook.url), **{
        f"destination d{i}": {"match": f"application d{i}", "daily_limit": "1kB"}
        for i in range(12)})
    mailbox.stop()
    for i in range(12):
        site.receivewal(relay, f"d{i}")
    wait_until(lambda: len(hook.told("daily_limit_over")) == 12, 60)
    wait_until(lambda: relay.metric("alert_pending", channel="mail") == 12)
    mailbox.start()
    wait_until(lambda: delivered(relay, "mail") == 12, 90)
    assert mailbox.subjects() == ["[walrelay relay] 12 alerts, 12 critical"]
    text = mailbox.mails[0].get_content()
    assert all(f'destination "d{i}" has used' in text for i in range(12))


def test_the_upstream_a_standby_and_its_lag(site, hook):
    primary = site.primary()
    relay = site.relay(primary, alerts={"webhook_url": hook.url, "lag_bytes": "4MB",
                                        "lag_time": "5s"})
    standby = site.standby(primary, relay, "far")
    standby.catch_up(primary)
    standby.execute("SELECT pg_wal_replay_pause()")
    write_wal(primary, 8)
    wait_until(lambda: {("standby_lag_bytes", "raised"), ("standby_lag_time", "raised")}
               <= set(hook.told()), 60, "the lag")
    assert 'standby "far at 127.0.0.1"' in hook.taken[0]["text"]
    standby.execute("SELECT pg_wal_replay_resume()")
    wait_until(lambda: {("standby_lag_bytes", "recovered"), ("standby_lag_time", "recovered")}
               <= set(hook.told()), 90, "it to be over")
    standby.stop()
    wait_until(lambda: ("standby_gone", "raised") in hook.told(), 60)
    standby.start()
    wait_until(lambda: ("standby_gone", "recovered") in hook.told(), 60)
    primary.stop()
    wait_until(lambda: ("upstream_lost", "raised") in hook.told(), 60)
    primary.start()
    wait_until(lambda: ("upstream_lost", "recovered") in hook.told(), 60)
    assert len(set(hook.told())) == len(hook.taken), hook.told()


def test_a_slot_dropped_on_the_upstream(site, hook):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, alerts={"webhook_url": hook.url})
    write_wal(primary, 2)
    relay.wait_flushed(primary.flush_lsn())
    relay.stop()
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    relay.start()
    wait_until(lambda: ("upstream_slot_remade", "raised") in hook.told(), 60)
    # And with it the WAL that comes next.
    relay.stop()
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    primary.execute("ALTER SYSTEM SET wal_keep_size = 0")
    primary.execute("ALTER SYSTEM SET max_wal_size = '2MB'")
    primary.execute("ALTER SYSTEM SET min_wal_size = '2MB'")
    primary.execute("SELECT pg_reload_conf()")
    for _ in range(3):
        write_wal(primary, 8)
        primary.execute("CHECKPOINT")
    relay.start(wait=False)
    wait_until(lambda: {("upstream_slot_lost", "raised"), ("upstream_stopped", "raised")}
               <= set(hook.told()), 60)
    assert "no longer has the WAL that comes next" in next(
        one["text"] for one in hook.taken if one["alert"] == "upstream_slot_lost")


def test_certificates_and_the_disk(site, hook):
    authority = Authority(site.directory, "authority")
    primary = site.primary()
    relay = site.relay(primary, start=False, alerts={"webhook_url": hook.url,
                                                     "spool_free": "1000TB"})
    authority.serve(relay)
    relay.start()
    wait_until(lambda: hook.told("spool_short") == [("spool_short", "raised")], 60)
    authority.serve(relay, "old", expired=True)
    relay.configure().reload()
    wait_until(lambda: ("certificate_expired", "raised") in hook.told(), 60)
    authority.serve(relay, "new")
    relay.configure().reload()
    wait_until(lambda: ("certificate_expired", "recovered") in hook.told(), 60)


def test_check_and_reload_refuse_a_faulty_section(site):
    primary = site.primary()
    relay = site.relay(primary)
    secret = password_file(site, "open\nsesame")
    relay.configure("alerts", smtp_url="smtp://127.0.0.1:1", mail_from="a@b.example",
                    mail_to="c@d.example", smtp_user="alarm", smtp_password_file=secret)
    check = run_cli("check", "-c", relay.config_file)
    assert check.returncode == 2 and "expected one line of text" in check.stderr
    before = relay.reload()
    relay.wait_for_log("expected one line of text", before)
    relay.wait_for_log("the old one stays in force", before)
    assert relay.status()["alert_channels"]["mail"] is None
    secret.write_text(PASSWORD)
    relay.configure("alerts", webhook_url="http://127.0.0.1:port/x")
    check = run_cli("check", "-c", relay.config_file)
    assert check.returncode == 2 and re.search(
        r'walrelay.ini:\d+: invalid URL for "webhook_url" in \[alerts\]', check.stderr)
    relay.configure("alerts", webhook_url=None, mail_to=None)
    check = run_cli("check", "-c", relay.config_file)
    assert check.returncode == 2 and '"smtp_url" in [alerts] needs "mail_to"' in check.stderr
    for text in (check.stderr, check.stdout, relay.log_text()):
        assert PASSWORD not in text and "sesame" not in text
