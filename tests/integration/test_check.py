"""`walrelay check` asks the upstream: what an operator should know before a failover does it."""
import socket

from support.relay import run_cli


def check(relay, **how):
    done = run_cli("check", "-c", relay.config_file, **how)
    assert done.returncode == 0, done.stderr
    return done


def conninfo_line(relay):
    lines = relay.config_file.read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.startswith("conninfo"))


def test_a_slot_without_a_limit(site):
    primary = site.primary()
    relay = site.relay(primary, start=False)
    done = check(relay)
    assert done.stderr.startswith(
        f"{relay.config_file}:{conninfo_line(relay)}: warning: upstream 127.0.0.1:{primary.port}: "
        "max_slot_wal_keep_size is -1"), done.stderr
    relay.configure("upstream", slot="")
    assert check(relay).stderr == ""
    relay.configure("upstream", slot="walrelay_relay")
    primary.configure(max_slot_wal_keep_size="10GB")
    primary.restart()
    assert check(relay).stderr == ""
    # Asking leaves nothing behind.
    assert primary.execute("SELECT * FROM pg_replication_slots") == []


def test_a_candidate_without_the_slot(site):
    primary = site.primary(max_slot_wal_keep_size="10GB")
    standby = site.standby(primary, primary, "standby")
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port} user=postgres"
    relay = site.relay(hosts, start=False)
    said = check(relay).stderr
    if standby.major >= 15:
        assert f"upstream 127.0.0.1:{standby.port}: this standby has no slot \"walrelay_relay\"" in said
    assert str(primary.port) not in said
    standby.execute("SELECT pg_create_physical_replication_slot('walrelay_relay')")
    assert check(relay).stderr == ""


def test_an_upstream_that_is_away_or_silent_is_only_warned_about(site):
    relay = site.relay("host=127.0.0.1 port=1", start=False)
    assert "warning: upstream 127.0.0.1:1: could not connect" in check(relay).stderr
    assert run_cli("check", "--offline", "-c", relay.config_file).stderr == ""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay.configure("upstream", conninfo=f"host=127.0.0.1 port={silent.getsockname()[1]}")
        assert "warning: upstream" in check(relay, deadline=60).stderr


def test_what_it_prints_is_a_configuration(site):
    primary = site.primary(max_slot_wal_keep_size="10GB")
    relay = site.relay(primary, start=False)
    relay.configure("destination far", match="address 10.0.0.0/8", rate_cap="50Mbit/s")
    first = check(relay).stdout
    relay.config_file.write_text(first)
    assert check(relay).stdout == first
    # In force: the relay starts with it.
    relay.sections = {}
    relay.configure = lambda *_, **__: relay
    relay.start()
