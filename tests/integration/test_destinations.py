"""Destinations: who counts where, what it comes to, the rungs of a limit, and that the books survive
whatever happens to the relay."""
import csv
import datetime
import http.server
import io
import json
import re
import sqlite3
import subprocess
import threading
import time

from support.load import write_wal
from support.relay import run_cli
from support.wait import wait_until

FAR = "destination far"


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


def destination_of(relay, name):
    return next(one for one in relay.status()["destinations"] if one["name"] == name)


def billed(relay, name):
    return relay.metric("destination_billed_bytes_total", destination=name)


def booked(relay, name):
    """What the ledger has on disk."""
    database = sqlite3.connect(f"file:{relay.data_dir}/state.db?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT sum(billed_sent_bytes) FROM usage WHERE destination = ?",
                                (name,)).fetchall()
    finally:
        database.close()
    return rows[0][0] or 0


def wait_booked(relay, name):
    """Until everything counted is on disk."""
    wait_until(lambda: booked(relay, name) == destination_of(relay, name)["used_day_bytes"] > 0
               and destination_of(relay, name)["used_day_bytes"] == booked(relay, name), 30,
               "the ledger to be on disk")


# Sender loops count once a second, and a connection's last bytes are counted as it closes.
QUIET_SECONDS = 2.5


def wait_quiet(relay, name):
    """When nobody is connected any more: until all is on disk and no more comes."""
    seen, since = None, time.monotonic()

    def is_quiet():
        nonlocal seen, since
        now = booked(relay, name), destination_of(relay, name)["used_day_bytes"]
        if now != seen:
            seen, since = now, time.monotonic()
        return now[0] == now[1] > 0 and time.monotonic() - since > QUIET_SECONDS
    wait_until(is_quiet, 60, "the ledger to be on disk")


def test_each_connection_counts_for_the_first_destination_that_matches(site):
    primary = site.primary()
    relay = site.relay(primary, **{
        FAR: {"match": "application far1, application far2", "price_per_gb": "0.02"},
        "destination near": {"match": "address 127.0.0.0/8"}})
    far = site.receivewal(relay, "far1")
    near = site.receivewal(relay, "near1")
    write_wal(primary, 4)
    target = primary.flush_lsn()
    for name in ("far1", "near1"):
        wait_until(lambda n=name: (relay.metric("standby_sent_lsn_bytes", standby=n) or 0) >= target)
    for name in ("far", "near"):
        wait_until(lambda n=name: relay.metric("destination_wal_bytes_total", destination=n) >= 4 << 20)
        wire = relay.metric("destination_wire_bytes_total", destination=name)
        assert wire > relay.metric("destination_wal_bytes_total", destination=name)
        assert billed(relay, name) > wire
        assert relay.metric("standbys", destination=name) == 1
    assert relay.metric("destination_wal_bytes_total", destination="other") == 0
    assert {one["application_name"]: one["destination"] for one in relay.status()["standbys"]} == {
        "far1": "far", "near1": "near"}
    assert relay.metric("standby_sent_lsn_bytes", standby="far1", destination="far")

    # A connection moves on reload, with what follows, and without being dropped.
    relay.configure(FAR, match="application near1")
    relay.reload()
    wait_until(lambda: {one["application_name"]: one["destination"]
                        for one in relay.status()["standbys"]} == {"far1": "near", "near1": "far"})
    before = {name: billed(relay, name) for name in ("far", "near")}
    assert far.is_running and near.is_running
    write_wal(primary, 1)
    wait_until(lambda: all(billed(relay, name) > before[name] + (1 << 20) for name in before))


def test_address_ranges_of_a_region_from_a_file_and_from_a_url(site):
    primary = site.primary()
    ranges = site.directory / "ip-ranges.json"
    good = json.dumps({"prefixes": [{"ip_prefix": "127.0.0.0/8", "region": "us-west-2"}],
                       "ipv6_prefixes": []})
    ranges.write_text(good)
    relay = site.relay(primary, **{"destination west": {"match": "address aws:us-west-2"},
                                   "egress": {"ip_ranges": ranges}})
    site.receivewal(relay, "one")

    def is_in_the_west():
        return [one["destination"] for one in relay.status()["standbys"]] == ["west"]
    wait_until(is_in_the_west)

    # What is faulty replaces nothing, not even over a restart.
    ranges.write_text("<html>not today</html>")
    before = relay.reload()
    relay.wait_for_log("ip_ranges.*invalid JSON", before)
    assert is_in_the_west()
    relay.stop()
    before = relay.log_size()
    relay.start()
    relay.wait_for_log("last good copy", before)
    wait_until(is_in_the_west)

    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            other = good.replace("us-west-2", "eu-west-1").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(other)))
            self.end_headers()
            self.wfile.write(other)

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        relay.configure("egress", ip_ranges=f"http://127.0.0.1:{server.server_port}/ip-ranges.json")
        relay.reload()
        wait_until(lambda: [one["destination"] for one in relay.status()["standbys"]] == ["other"])
        server.shutdown()
    assert asked == ["/ip-ranges.json"]


def test_usage_as_table_json_and_csv(site):
    primary = site.primary()
    relay = site.relay(primary, **{
        FAR: {"match": "application far", "price_per_gb": "100", "monthly_limit": "1GB"},
        "egress": {"currency": "EUR"}})
    far = site.receivewal(relay, "far")
    write_wal(primary, 8)
    target = primary.flush_lsn()
    wait_until(lambda: (relay.metric("standby_write_lsn_bytes", standby="far") or 0) >= target)
    far.terminate()
    wait_until(lambda: not relay.status()["standbys"])
    wait_quiet(relay, "far")

    done = run_cli("usage", "-c", relay.config_file, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (line,) = [one for one in told["usage"] if one["destination"] == "far"]
    assert line["day"] == today() and told["currency"] == "EUR"
    assert line["billed_bytes"] > line["wire_bytes"] > line["wal_bytes"] >= 8 << 20
    assert abs(line["cost"] - line["billed_bytes"] * 100 / 2**30) < 1e-6
    assert abs(relay.metric("destination_cost_total", destination="far", currency="EUR")
               - line["cost"]) < 1e-6
    assert relay.metric("destination_used_bytes", destination="far", period="day") == \
        line["billed_bytes"]
    assert relay.metric("destination_limit_bytes", destination="far", period="month") == 1 << 30

    url = f"http://127.0.0.1:{relay.http_port}"
    done = run_cli("usage", "--url", url, "--csv", "--by", "month", "--destination", "far")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["month"] == today()[:7] and int(row["billed_bytes"]) == line["billed_bytes"]
    assert abs(float(row["cost"]) - line["cost"]) < 1e-6 and row["currency"] == "EUR"

    done = run_cli("usage", "--url", url)
    assert re.search(rf"^far +{today()} .*\d+\.\d+ MB", done.stdout, re.MULTILINE), done.stdout
    assert "of 1.00 GB this month" in done.stdout
    assert run_cli("usage", "--url", url, "--from", "2020-01-01", "--to", "2020-01-31",
                   "--csv").stdout.count("\n") == 1
    wrong = run_cli("usage", "--url", url, "--from", "yesterday")
    assert wrong.returncode == 2 and '"from"' in wrong.stderr
    screen = run_cli("status", "-c", relay.config_file)
    assert screen.returncode == 0 and re.search(r"^far +ok ", screen.stdout, re.MULTILINE)
    assert json.loads(run_cli("status", "--url", url, "--json").stdout)["name"] == "relay"


def far_usage(relay):
    return json.loads(relay.get("/api/usage?destination=far")[1])["usage"][0]


def test_a_base_backup_counts_apart_from_wal(site):
    primary = site.primary()
    relay = site.relay(primary, **{FAR: {"match": "address 127.0.0.1"}})
    target = site.directory / "backup"
    subprocess.run([site.client_bin / "pg_basebackup", "-D", target, "-X", "none", "-c", "fast",
                    "--no-manifest", "-d", relay.conninfo()], check=True, timeout=120,
                   capture_output=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    wait_until(lambda: (relay.metric("destination_backup_bytes_total", destination="far") or 0)
               >= size)
    wait_until(lambda: far_usage(relay)["backup_billed_bytes"] > size)
    assert relay.metric("destination_wal_bytes_total", destination="far") == 0
    line = far_usage(relay)
    assert line["backup_billed_bytes"] <= line["billed_bytes"]
    assert line["saved_bytes"] == 0


def test_each_rung_and_a_kill_at_each(site):
    """ok, warning, over: told by state, plugin and log, and the same after kill -9."""
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, **{
        FAR: {"match": "application far", "daily_limit": "40MB", "warn_at": "50%"}})
    site.receivewal(relay, "far")
    url = f"http://127.0.0.1:{relay.http_port}"
    for megabytes, rung, state, code, word in [
            (2, "ok", "ok", 0, "OK"), (20, "warning", "warning", 1, "WARNING"),
            (20, "over", "warning", 2, "CRITICAL")]:
        write_wal(primary, megabytes)
        wait_until(lambda r=rung: destination_of(relay, "far")["limit"] == r, 60, f"rung {rung}")
        relay.wait_received(primary.flush_lsn())
        wait_until(lambda: relay.metric("standby_lag_bytes", standby="far") == 0)
        wait_booked(relay, "far")
        used = booked(relay, "far")
        relay.kill9()
        assert booked(relay, "far") >= used, "what was on disk is on disk"
        relay.start()
        assert destination_of(relay, "far")["limit"] == rung
        assert destination_of(relay, "far")["used_day_bytes"] >= used
        assert relay.metric("destination_state", destination="far", state=state) == 1
        done = run_cli("nagios", "--url", url, "--destination", "far")
        assert done.returncode == code, done.stdout
        assert done.stdout.startswith(f"WALRELAY {word} - ") and done.stdout.count("\n") == 1
        assert re.search(r"'far day'=\d+B;20971520;41943040;0", done.stdout), done.stdout
        wait_until(lambda: relay.status()["standbys"], 30, "the client to be back")
    relay.wait_for_log('"far" has used .* of its daily limit of 40MB: over')
    # A higher limit by reload, and all is well again.
    relay.configure(FAR, daily_limit="1GB")
    relay.reload()
    wait_until(lambda: destination_of(relay, "far")["limit"] == "ok")
    assert run_cli("nagios", "--url", url).returncode == 0
    assert run_cli("nagios", "--url", url, "--destination", "nowhere").returncode == 3
    relay.stop()
    gone = run_cli("nagios", "--url", url)
    assert gone.returncode == 3 and gone.stdout.startswith("WALRELAY UNKNOWN - ")


def test_a_kill_under_load_loses_less_than_a_second_and_doubles_nothing(site):
    primary = site.primary()
    relay = site.relay(primary, **{FAR: {"match": "application far"}})
    site.receivewal(relay, "far")
    site.pgbench(primary)
    booked_before = 0
    for _ in range(3):
        wait_until(lambda: relay.status()["standbys"], 30, "the client to be there")
        start = billed(relay, "far")
        wait_until(lambda s=start: billed(relay, "far") > s + (2 << 20), 60, "some traffic")
        seen = []

        def watch(seen=seen):
            seen.append((time.monotonic(), billed(relay, "far")))
            return seen[-1][0] > seen[0][0] + 3
        wait_until(watch, 30)
        relay.kill9()
        killed = time.monotonic()
        now = booked(relay, "far")
        # The counters began at 0 with this process, on top of what was booked before it.
        old = max(value for at, value in seen if at < killed - 1)
        assert now - booked_before >= old, "more than a second's counting is lost"
        sent = seen[-1][1]
        assert now - booked_before <= sent * 1.5 + (4 << 20), "something is counted twice"
        relay.start()
        assert destination_of(relay, "far")["used_day_bytes"] >= now
        booked_before = now


def test_what_a_compressed_link_saves(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", **{
        FAR: {"match": "application edge", "price_per_gb": "1"}})
    edge = site.relay(hub, "edge")
    write_wal(primary, 12)
    edge.wait_flushed(primary.flush_lsn())
    wait_until(lambda: hub.metric("destination_wal_bytes_total", destination="far") >= 12 << 20)
    wait_booked(hub, "far")
    line = json.loads(hub.get("/api/usage?destination=far")[1])["usage"][0]
    assert line["billed_bytes"] < line["wal_bytes"] / 2
    # Against the same WAL as a plain stream, which is a little more than the WAL itself.
    assert line["wal_bytes"] < line["billed_bytes"] + line["saved_bytes"] < line["wal_bytes"] * 1.1
    assert abs(line["saved_cost"] - line["saved_bytes"] / 2**30) < 1e-6
