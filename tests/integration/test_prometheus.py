"""Prometheus scrapes a hub and an edge; the alert rules and the dashboard of docker/ work with that."""
import copy
import json
import os
import re
from pathlib import Path

import pytest

from support import grafana
from support.prometheus import DOCKER, Prometheus, is_installed, promtool
from support.wait import holds_for, wait_until

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="prometheus is not installed; tests/run all installs it")

MINUTES = 3
VARIABLE = {"type": "prometheus", "uid": "${datasource}"}
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
        # What the disk does is not ours alone: other tests fill it, and it may pend.
        quiet = ("inactive", "pending") if rule["name"] == "WalrelaySpoolDiskFilling" else ("inactive",)
        assert rule["state"] in quiet, f"{rule['name']} is {rule['state']}: {rule['alerts']}"


def check_dashboard(prometheus):
    missing = [each for each in queries() if not prometheus.query(each[1])]
    assert not missing, f"no data: {missing}"


def check_metrics(*relays):
    for relay in relays:
        assert promtool("check", "metrics", text_input=relay.get("/metrics")[1]) == ""


def test_prometheus_scrapes_and_the_dashboard_has_data(scraped):
    hub, edge, prometheus = scraped
    check_metrics(hub, edge)
    wait_until(lambda: all(prometheus.query(query) for _, query in queries()), 120,
               "every query of the dashboard to return something")
    wait_until(lambda: all(rule["health"] == "ok" for group in prometheus.api("rules")["groups"]
                           for rule in group["rules"]), 60, "every rule to be evaluated")
    check_targets(prometheus)
    check_rules(prometheus)
    check_dashboard(prometheus)


def own_counter(prometheus, name):
    """The sum of a counter that Prometheus keeps of itself."""
    found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", prometheus.ask("/metrics"), re.MULTILINE)
    assert found, name
    return sum(map(float, found))


@pytest.mark.long
def test_it_holds_for_minutes(scraped):
    """Under load: each scrape is good, each rule is evaluated and quiet, each panel has data, all along."""
    hub, edge, prometheus = scraped
    wait_until(lambda: check_dashboard(prometheus) is None, 120, "every query to return something")

    def all_is_well():
        check_metrics(hub, edge)
        check_targets(prometheus)
        check_rules(prometheus)
        check_dashboard(prometheus)
        return True
    holds_for(all_is_well, MINUTES * 60, interval=1)
    for query in (f'min_over_time(up{{job="walrelay"}}[{MINUTES}m]) == 1',
                  f"increase(walrelay_upstream_wal_bytes_total[{MINUTES}m]) > 0",
                  f"changes(process_start_time_seconds[{MINUTES}m]) == 0"):
        assert len(prometheus.query(query)) == 2, query
    assert own_counter(prometheus, "prometheus_rule_evaluations_total") > 20 * MINUTES
    for name in ("prometheus_rule_evaluation_failures_total",
                 "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                 "prometheus_target_scrapes_sample_out_of_order_total"):
        assert own_counter(prometheus, name) == 0, name
    assert not re.search(r"level=(warn|error)", prometheus.log_text()), prometheus.log_text()


# --- the dashboard ---


def test_the_dashboard_is_in_order():
    panels = DASHBOARD["panels"]
    assert DASHBOARD["uid"] and "id" not in DASHBOARD and "__inputs" not in DASHBOARD
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = DASHBOARD["templating"]["list"]
    assert [each["name"] for each in variables] == ["datasource", "instance"]
    assert variables[1]["datasource"] == VARIABLE
    for panel in panels:
        if panel["type"] == "row":
            assert panel["gridPos"]["w"] == 24 and not panel["panels"], panel["title"]
            continue
        assert panel["datasource"] == VARIABLE and panel["description"] is not None, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in grafana.UNITS, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0, panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == VARIABLE, panel["title"]
            assert 'instance=~"$instance"' in target["expr"], panel["title"]
    cells = [(x, y) for panel in panels for at in [panel["gridPos"]]
             for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells)), "two panels lie on each other"
    assert max(x for x, _ in cells) < 24
    assert len(list(queries())) > 30


@pytest.mark.long
def test_the_dashboard_is_what_grafana_takes(site):
    """By Grafana's own types: each key, each option, each name of an enumeration."""
    directory = Path(os.environ.get("WALRELAY_TEST_CACHE") or site.directory) / "grafana"
    try:
        grafana.fetch(directory)
    except FileNotFoundError as failure:
        pytest.skip(f"Grafana's types cannot be had: {failure}")
    assert grafana.type_errors(directory, DASHBOARD) == ""
    wrong = copy.deepcopy(DASHBOARD)
    wrong["panels"][1]["options"]["colorMode"] = "loud"
    wrong["panels"][2]["gridPos"]["wide"] = 1
    assert len(grafana.type_errors(directory, wrong).splitlines()) == 2, "it does look"


@pytest.mark.parametrize("panel, query", queries())
def test_a_query_is_well_formed(tmp_path, panel, query):
    """Without any data: promtool reads it as a rule."""
    rule = {"record": "x", "expr": query}
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panel", "rules": [rule]}]}))
    assert "SUCCESS" in promtool("check", "rules", file), panel


def test_what_prometheus_notices_comes_out(scraped):
    hub, _, prometheus = scraped
    hub.kill9()
    wait_until(lambda: [labels for labels, value in prometheus.query('up{job="walrelay"}') if not value],
               60, "the hub to be missed")
    wait_until(lambda: prometheus.query('ALERTS{alertname="WalrelayDown", alertstate="pending"}'), 60,
               "the alert")
