"""Prometheus scrapes a hub and an edge; the alert rules and the dashboard of docker/ work with that."""
import json

import pytest

from support.prometheus import DOCKER, Prometheus, is_installed, promtool
from support.wait import wait_until

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="prometheus is not installed; tests/run all installs it")

DASHBOARD = json.loads((DOCKER / "grafana-dashboard.json").read_text(encoding="utf-8"))
DESTINATION = {"match": "application edge", "provider": "aws", "price_per_gb": "0.09",
               "rate_cap": "200Mbit/s", "daily_limit": "20GB", "monthly_limit": "500GB"}


def queries():
    """(panel, query) of the dashboard, with its variables filled in as Grafana does."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "30s")
            assert "$" not in query, query
            yield panel["title"], query


@pytest.fixture(name="scraped")
def scraped_pair(site):
    """A primary under load, hub, edge and a standby, and the Prometheus that watches the relays."""
    primary = site.primary()
    hub = site.relay(primary, "hub", **{"destination west": DESTINATION})
    edge = site.relay(hub, "edge")
    standby = site.standby(primary, edge, "standby")
    site.pgbench(primary, rate=50, seconds=600)
    prometheus = site.add(Prometheus("prometheus", site.directory / "prometheus",
                                     {"hub:9871": hub, "edge:9871": edge})).start()
    standby.catch_up(primary)
    return hub, edge, prometheus


def check_targets(prometheus):
    targets = prometheus.api("targets")["activeTargets"]
    assert len(targets) == 2
    for target in targets:
        # A series that comes twice, or a line that is none, is told here alone.
        assert (target["health"], target["lastError"]) == ("up", ""), target


def check_rules(prometheus):
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 15
    for rule in rules:
        assert rule["health"] == "ok", rule
        assert rule["state"] == "inactive", f"{rule['name']} is {rule['state']}: {rule['alerts']}"


def check_dashboard(prometheus):
    missing = [each for each in queries() if not prometheus.query(each[1])]
    assert not missing, f"no data: {missing}"


def test_prometheus_scrapes_and_the_dashboard_has_data(scraped):
    hub, edge, prometheus = scraped
    for relay in (hub, edge):
        assert promtool("check", "metrics", text_input=relay.get("/metrics")[1]) == ""
    wait_until(lambda: all(prometheus.query(query) for _, query in queries()), 120,
               "every query of the dashboard to return something")
    wait_until(lambda: all(rule["health"] == "ok" for group in prometheus.api("rules")["groups"]
                           for rule in group["rules"]), 60, "every rule to be evaluated")
    check_targets(prometheus)
    check_rules(prometheus)
    check_dashboard(prometheus)


def test_the_dashboard_is_in_order():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [(x, y) for panel in panels for at in [panel["gridPos"]]
             for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells)), "two panels lie on each other"
    assert max(x for x, _ in cells) < 24
    assert len(list(queries())) > 30


def test_what_prometheus_notices_comes_out(scraped):
    hub, _, prometheus = scraped
    hub.kill9()
    wait_until(lambda: [labels for labels, value in prometheus.query('up{job="walrelay"}') if not value],
               60, "the hub to be missed")
    wait_until(lambda: prometheus.query('ALERTS{alertname="WalrelayDown", alertstate="pending"}'), 60,
               "the alert")
