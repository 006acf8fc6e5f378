"""Each alert rule of docker/prometheus-rules.yml with what sets it off, and with what does not."""
import json
import re

import pytest

from support.prometheus import DOCKER, is_installed, promtool

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="prometheus is not installed; tests/run all installs it")

RULES = DOCKER / "prometheus-rules.yml"
HUB, EDGE = '{instance="hub", job="walrelay"}', '{instance="edge", job="walrelay"}'
GB = 1 << 30


def state(destination, **states):
    return {f'walrelay_destination_state{{destination="{destination}", state="{name}"}}': f"0 {value}"
            for name, value in states.items()}


# Alert: after how many minutes it fires, the series that set it off, and those that do not. A series
# is its selector and its values, one a minute.
ALERTS = {
    "WalrelayDown": (3, {f"up{HUB}": "1 0 0 0"}, {'up{job="other"}': "0x3", f"up{EDGE}": "1x3"}),
    "WalrelayRestarts": (4, {f"process_start_time_seconds{HUB}": "1 1 2 3 4"},
                         {f"process_start_time_seconds{EDGE}": "1 1 1 2 2"}),
    "WalrelayUpstreamLost": (3, {f"walrelay_upstream_connected{HUB}": "1 0 0 0"},
                             {f"walrelay_upstream_connected{EDGE}": "0 1 1 1"}),
    "WalrelayUpstreamUnsteady": (10, {f"walrelay_upstream_reconnects_total{HUB}": "0+1x10"},
                                 {f"walrelay_upstream_reconnects_total{EDGE}": "7 8 8x8"}),
    "WalrelayRelayLags": (6, {f"walrelay_upstream_received_lsn_bytes{EDGE}": "1x6"},
                          {f"walrelay_upstream_received_lsn_bytes{HUB}": f"{3 * GB}x6"}),
    "WalrelayFlushSlow": (2, {f"walrelay_upstream_received_lsn_bytes{HUB}": f"{GB}x2",
                              f"walrelay_upstream_flushed_lsn_bytes{HUB}": "0x2"},
                          {f"walrelay_upstream_received_lsn_bytes{EDGE}": f"{GB}x2",
                           f"walrelay_upstream_flushed_lsn_bytes{EDGE}": f"{GB - 9}x2"}),
    "WalrelaySpoolDiskLow": (2, {f"walrelay_spool_free_bytes{HUB}": f"{GB}x2"},
                             {f"walrelay_spool_free_bytes{EDGE}": f"{3 * GB}x2"}),
    "WalrelaySpoolDiskFilling": (
        76, {f"walrelay_spool_free_bytes{HUB}": f"{100 * GB}-{GB}x76"},
        {f"walrelay_spool_free_bytes{EDGE}": f"{100 * GB}-1000x76"}),
    "WalrelaySlotHoldsWal": (11, {'walrelay_slot_retained_bytes{slot="a"}': f"{40 * GB}x11"},
                             {'walrelay_slot_retained_bytes{slot="b"}': f"{GB}x11"}),
    "WalrelayStandbyLags": (6, {'walrelay_standby_lag_bytes{standby="a"}': f"{2 * GB}x6"},
                            {'walrelay_standby_lag_bytes{standby="b"}': "5x6"}),
    "WalrelayStandbyLagsInTime": (6, {'walrelay_standby_replay_lag_seconds{standby="a"}': "400x6"},
                                  {'walrelay_standby_replay_lag_seconds{standby="b"}': "5x6"}),
    "WalrelayStandbyGone": (13, {'walrelay_standbys{destination="west"}': "2 2 1x11"},
                            {'walrelay_standbys{destination="east"}': "1 2 2x11"}),
    "WalrelayDestinationNearLimit": (1, state("west", warning=1), state("east", ok=1, warning=0)),
    "WalrelayDestinationThrottled": (1, state("west", throttled=1), state("east", throttled=0)),
    "WalrelayDestinationPaused": (1, state("west", paused=1), state("east", paused=0)),
    "WalrelayForecastOverLimit": (
        61, {'walrelay_destination_forecast_bytes{destination="west", period="month"}': "9x61",
             'walrelay_destination_limit_bytes{destination="west", period="month"}': "8x61"},
        {'walrelay_destination_forecast_bytes{destination="east", period="month"}': "9x61",
         'walrelay_destination_limit_bytes{destination="east", period="day"}': "8x61"}),
    "WalrelayLinkDamaged": (2, {f"walrelay_link_upstream_plain_requests_total{EDGE}": "0 1 1"},
                            {f"walrelay_link_upstream_plain_requests_total{HUB}": "5 5 5"}),
    "WalrelayAlertsUndelivered": (11, {'walrelay_alert_pending{channel="mail"}': "2x11"},
                                  {'walrelay_alert_pending{channel="webhook"}': "1 1 0x9"}),
    "WalrelayTimelineChanged": (2, {f"walrelay_timeline{HUB}": "1 2 2"},
                                {f"walrelay_timeline{EDGE}": "1 1 1"}),
    "WalrelayReports": (1, {'walrelay_alerts{alert="slot_lost", subject="a", severity="critical"}': "_ 1"},
                        {'walrelay_alerts{alert="standby_gone", subject="a", severity="warning"}': "_ 1"}),
    "WalrelayAcknowledgedWalLost": (
        1, {'walrelay_alerts{alert="acknowledged_wal_lost", subject="lost-1-0-28-0-30"}': "_ 1"},
        {'walrelay_alerts{alert="pin_lost", subject="a"}': "_ 1"}),
    "WalrelayFewDescriptors": (
        6, {f"process_open_fds{HUB}": "900x6", f"process_max_fds{HUB}": "1000x6"},
        {f"process_open_fds{EDGE}": "9x6", f"process_max_fds{EDGE}": "1000x6"}),
}


def test_every_alert_has_its_case():
    named = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(ALERTS)


def test_the_rules_are_well_formed():
    assert "SUCCESS" in promtool("check", "rules", RULES)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert(tmp_path, alert):
    """Not at first, then once, for the one series; never without that. YAML takes JSON."""
    minutes, firing, quiet = ALERTS[alert]

    def case(name, series, fires):
        ask = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
        return {"name": name, "interval": "1m",
                "input_series": [{"series": of, "values": values} for of, values in series.items()],
                "promql_expr_test": [
                    {"expr": ask, "eval_time": f"{minutes}m",
                     "exp_samples": [{"labels": "{}", "value": 1}] if fires else []},
                    {"expr": ask, "eval_time": "0m", "exp_samples": []}]}
    cases = [case("fires", {**firing, **quiet}, True), case("is quiet", quiet, False)]
    file = tmp_path / "test.yml"
    file.write_text(json.dumps(
        {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}))
    assert "SUCCESS" in promtool("test", "rules", file)


def test_the_readme_tells_what_to_do():
    """Each alert once, in the first column of the table."""
    readme = (DOCKER.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (Walrelay[\w, ]+) \|", readme, re.MULTILINE)
    assert sorted(name for row in rows for name in row.split(", ")) == sorted(ALERTS)
