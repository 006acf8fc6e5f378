"""SIGHUP: a good configuration takes effect without dropping a connection, a faulty one not at all."""
from support.replication import command
from support.wait import wait_until


def attached(site):
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    receiver = standby.value("SELECT pid FROM pg_stat_wal_receiver")

    def still_attached():
        assert standby.value("SELECT pid FROM pg_stat_wal_receiver") == receiver
        assert relay.metric("upstream_reconnects_total") == reconnects
    reconnects = relay.metric("upstream_reconnects_total")
    return primary, relay, still_attached


def test_a_faulty_configuration_is_refused_as_a_whole(site):
    _, relay, still_attached = attached(site)
    relay.configure("relay", log_level="debug")
    relay.configure("spool", retain_size="plenty", retane_time="1h")
    before = relay.reload()
    lines = relay.config_file.read_text().splitlines()
    for key in ("retain_size", "retane_time"):
        number = next(i for i, line in enumerate(lines, 1) if line.startswith(key))
        relay.wait_for_log(f"{relay.config_file}:{number}: .*{key}", before)
    assert "retain_time" in relay.log_text(before), "the nearest known key is named"
    still_attached()
    relay.get("/healthz")
    assert "DEBUG" not in relay.log_text(before), "log_level of the refused file is in force"

    relay.configure("spool", retain_size="32MB", retane_time=None)
    before = relay.reload()
    relay.wait_for_log("configuration reloaded", before)
    command(relay, "IDENTIFY_SYSTEM")
    relay.wait_for_log("DEBUG", before)
    still_attached()


def test_a_faulty_hba_file_leaves_the_old_rules_in_force(site):
    _, relay, still_attached = attached(site)
    relay.hba_file.write_text("host replication all 127.0.0.1/32 maybe\n")
    before = relay.reload()
    relay.wait_for_log(f"{relay.hba_file}:1: .*maybe", before)
    still_attached()
    assert command(relay, "IDENTIFY_SYSTEM")


def test_retention_changes_on_reload(site):
    primary, relay, still_attached = attached(site)
    for _ in range(6):
        primary.switch_wal()
    relay.wait_flushed(primary.flush_lsn() // (16 << 20) * (16 << 20))
    held = relay.metric("spool_oldest_lsn_bytes")
    relay.configure("spool", retain_size="16MB").reload()
    wait_until(lambda: relay.metric("spool_oldest_lsn_bytes") > held, what="old segments to go")
    still_attached()


def test_a_new_conninfo_reconnects_and_streams_on(site):
    primary, relay, _ = attached(site)
    relay.configure("upstream", conninfo=primary.conninfo(application_name="renamed"))
    relay.reload()
    wait_until(lambda: primary.walsenders() == ["renamed"])
    relay.wait_ready()
