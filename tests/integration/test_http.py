"""What the relay says about itself over HTTP: names of INTERFACE, values that are true."""
import re

import pytest

from support.relay import parse_metrics
from support.replication import command
from support.wait import wait_until
from support.wal import parse_lsn

# Every name and its labels; a standby's samples come with its first reports.
METRICS = {name: labels.split() for labels, names in {
    "version": "build_info",
    "": """upstream_connected upstream_received_lsn_bytes upstream_flushed_lsn_bytes
        upstream_reconnects_total upstream_wal_bytes_total upstream_wire_bytes_total timeline
        spool_bytes spool_oldest_lsn_bytes spool_free_bytes""",
    "destination": """standbys destination_wal_bytes_total destination_wire_bytes_total
        destination_wire_received_bytes_total destination_billed_bytes_total
        destination_rate_cap_bytes_per_second""",
    "standby destination": """standby_sent_lsn_bytes standby_write_lsn_bytes standby_flush_lsn_bytes
        standby_replay_lsn_bytes standby_lag_bytes standby_replay_lag_seconds""",
    "destination currency": "destination_cost_total",
    "destination period": """destination_used_bytes destination_limit_bytes
        destination_forecast_bytes""",
    "destination state": "destination_state",
    "slot": "slot_retained_bytes",
}.items() for name in names.split()}
# As the client libraries of Prometheus name them.
PROCESS_METRICS = """cpu_seconds_total resident_memory_bytes virtual_memory_bytes open_fds max_fds
start_time_seconds""".split()


@pytest.fixture(name="pair")
def primary_and_relay(site):
    primary = site.primary()
    return primary, site.relay(primary)


def test_metrics_are_well_formed_and_true(site, pair):
    primary, relay = pair
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    target = primary.flush_lsn()
    relay.wait_flushed(target)
    status, text = relay.get("/metrics")
    assert status == 200
    samples = parse_metrics(text)
    keys = [(name, tuple(sorted(labels.items()))) for name, all_of in samples.items()
            for labels, _ in all_of]
    assert len(keys) == len(set(keys)), "a series occurs twice"
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert (kind == "counter") == name.endswith("_total"), line
    assert relay.metric("upstream_connected") == 1
    assert relay.metric("timeline") == 1
    wait_until(lambda: relay.metric("standby_replay_lsn_bytes", standby="standby") >= target, 15)
    assert relay.metric("standby_lag_bytes", standby="standby") == 0


def test_every_metric_is_there_with_its_labels_and_help(site):
    primary = site.primary()
    relay = site.relay(primary, **{"destination here": {
        "match": "application standby", "price_per_gb": "0.09", "rate_cap": "200Mbit/s",
        "daily_limit": "20GB", "monthly_limit": "500GB"}})
    command(relay, "CREATE_REPLICATION_SLOT standby PHYSICAL")
    standby = site.standby(primary, relay, "standby", slot="standby", wal_receiver_status_interval="1s")
    site.pgbench(primary, rate=20, seconds=300)
    standby.catch_up(primary)

    def with_lag():  # which one that has replayed everything has not
        text = relay.get("/metrics")[1]
        return text if "\nwalrelay_standby_replay_lag_seconds{" in text else None
    text = wait_until(with_lag, what="a replay lag")
    samples = parse_metrics(text)
    described = set(re.findall(r"^# HELP (\w+) \S.*\.$", text, re.MULTILINE))
    assert described == set(re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", text, re.MULTILINE))
    for name, labels in METRICS.items():
        found = samples.get(f"walrelay_{name}", [])
        assert found and f"walrelay_{name}" in described, name
        assert all(sorted(has) == sorted(labels) for has, _ in found), (name, found)
    for name in PROCESS_METRICS:
        assert f"process_{name}" in samples and f"process_{name}" in described, name
    for label, names in {"period": {"day", "month"}, "destination": {"here", "other"},
                         "state": {"ok", "warning", "throttled", "paused"}}.items():
        family = "destination_state" if label == "state" else "destination_used_bytes"
        assert {has[label] for has, _ in samples[f"walrelay_{family}"]} == names


def test_status_is_json_with_the_state_of_things(site, pair):
    primary, relay = pair
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    relay.wait_received(primary.flush_lsn())
    wait_until(lambda: relay.status()["standbys"][0]["state"] == "streaming")
    status = relay.status()
    assert status["name"] == "relay"
    assert status["upstream"]["state"] == "streaming"
    assert parse_lsn(status["spool"]["received_lsn"]) >= primary.flush_lsn() - (1 << 20)
    names = [each["application_name"] for each in status["standbys"]]
    assert names == ["standby"]


def test_readiness_follows_the_upstream(pair):
    primary, relay = pair
    assert relay.get("/healthz")[0] == 200
    primary.stop()
    wait_until(lambda: relay.get("/readyz")[0] == 503)
    assert relay.get("/readyz")[1].strip(), "a reason is given"
    assert relay.get("/healthz")[0] == 200
    primary.start()
    relay.wait_ready()


def test_what_is_not_there(pair):
    _, relay = pair
    assert relay.get("/nothing")[0] == 404
    assert relay.get("/../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        for path in ("/metrics", "/api/status"):
            assert relay.get(path, method)[0] == 405


def test_the_http_port_survives_nonsense(pair):
    _, relay = pair
    from support.rawclient import RawClient
    for nonsense in (b"\0\1\2\3" * 100, b"GET " + b"/" * 100000, b"\r\n" * 1000):
        client = RawClient(relay.http_port)
        with client:
            try:
                client.send(nonsense)
            except OSError:
                pass
    silent = [RawClient(relay.http_port) for _ in range(50)]
    assert relay.is_ready()
    for client in silent:
        client.socket.close()
