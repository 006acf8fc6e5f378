"""What the relay says about itself over HTTP: names of INTERFACE, values that are true."""
import pytest

from support.relay import parse_metrics
from support.wait import wait_until
from support.wal import parse_lsn

METRICS = """walrelay_build_info walrelay_upstream_connected walrelay_upstream_received_lsn_bytes
walrelay_upstream_flushed_lsn_bytes walrelay_upstream_reconnects_total
walrelay_upstream_wal_bytes_total walrelay_upstream_wire_bytes_total walrelay_timeline
walrelay_spool_bytes walrelay_spool_oldest_lsn_bytes walrelay_spool_free_bytes
process_cpu_seconds_total process_resident_memory_bytes process_open_fds process_max_fds
process_start_time_seconds""".split()
STANDBY_METRICS = """walrelay_standby_sent_lsn_bytes walrelay_standby_write_lsn_bytes
walrelay_standby_flush_lsn_bytes walrelay_standby_replay_lsn_bytes walrelay_standby_lag_bytes""".split()


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
    for name in METRICS + STANDBY_METRICS:
        assert name in samples, name
        assert f"# HELP {name} " in text and f"# TYPE {name} " in text, name
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
