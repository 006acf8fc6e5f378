"""The status page: what is served, and what Chromium makes of it beside a live relay."""
import base64
import hashlib
import json
import re
import urllib.request

import pytest

from support import browser as support_browser
from support.load import write_wal
from support.wait import wait_until

HOSTILE = "<img src=x onerror=alert(1)>&amp;"


@pytest.fixture(name="tree")
def hub_edge_and_followers(site):
    primary = site.primary()
    hub = site.relay(primary, "hub", start=False, **{
        "destination far": {"match": "application edge", "provider": "aws", "rate_cap": "50Mbit/s",
                            "daily_limit": "200MB", "monthly_limit": "4GB", "price_per_gb": "0.09"}})
    hub.configure("relay", page_url=f"http://127.0.0.1:{hub.http_port}/").start()
    edge = site.relay(hub, "edge")
    site.receivewal(hub, "receivewal")
    wait_until(lambda: len(hub.status()["standbys"]) == 2)
    return primary, hub, edge


def served(relay):
    with urllib.request.urlopen(f"http://127.0.0.1:{relay.http_port}/", timeout=10) as answer:
        return answer.read().decode(), dict(answer.headers)


def inside(tag, page):
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return text


def test_it_is_one_file_that_may_do_nothing_else(site):
    relay = site.relay("host=127.0.0.1 port=1 user=nobody", start=False).start(wait=False)
    wait_until(lambda: relay.get("/healthz")[0] == 200)
    page, headers = served(relay)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(inside(tag, page).encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert set(re.findall(r"https?://[^\s\"'<>)]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<[^>]*\s(?:on\w+|style|src)=", page), "no handlers, styles, sources in tags"
    assert not re.search(r"@import|url\(|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(",
                         page)
    assert len(page) < 100_000


def keys_of(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def test_every_name_it_reads_is_in_the_api(tree):
    _, hub, edge = tree
    answers = [json.loads(relay.get(path)[1]) for relay in (hub, edge)
               for path in ("/api/status?history=1", "/api/usage?by=day")]
    wait_until(lambda: json.loads(edge.get("/api/status?history=1")[1])["history"]["times"])
    known = {key for answer in answers for key in keys_of(answer)}
    known |= {"total_bytes", "done_bytes", "bytes_per_second", "seconds_left"}  # during a backup
    script = inside("script", served(hub)[0])
    read = set(re.findall(r"\.([a-z]+(?:_[a-z]+)+)\b", script))
    read |= set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', script))
    assert len(read) > 40
    assert read <= known, read - known


def luminance(colour):
    channels = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
                        for value in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_text_stands_out_in_both_themes(site):
    relay = site.relay("host=127.0.0.1 port=1 user=nobody", start=False).start(wait=False)
    wait_until(lambda: relay.get("/healthz")[0] == 200)
    light, dark = re.findall(r":root \{(.*?)\}", inside("style", served(relay)[0]), re.DOTALL)
    for theme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", theme))
        for text in ("ink", "quiet", "accent", "ok", "warning", "throttled", "bad"):
            for ground in ("page", "card"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for text, ground in (("ink", "bad-page"), ("ink", "warning-page"), ("bad", "bad-page"),
                             ("quiet", "bad-page"), ("quiet", "warning-page")):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for number in range(8):
            assert contrast(colours[f"s{number}"], colours["card"]) >= 3, number


# --- in Chromium, which tests/run all installs ---


@pytest.fixture(name="chromium")
def running_chromium(site):
    return site.add(support_browser.Browser(site.directory / "browser")).start()


def open_page(chromium, relay, **options):
    page = chromium.page(f"http://127.0.0.1:{relay.http_port}/", **options)
    page.wait("!document.getElementById('main').hidden")
    return page


def entry(page, section, term):
    return page.value(f"""(() => {{
        for (const name of document.querySelectorAll("#{section} dt")) {{
            if (name.textContent === "{term}") return name.nextSibling.textContent;
        }} }})()""")


def cell(page, body, row, name, what="textContent"):
    return page.value(f"""(() => {{
        for (const row of document.getElementById("{body}").rows) {{
            if (row.querySelector(".name").textContent === {json.dumps(row)}) {{
                const cell = row.querySelector("[data-cell={name}]");
                return (cell.querySelector(".value") || cell).{what};
            }} }} }})()""")


def assert_equal(page, relay):
    """Every figure of it that stands still is what /api/status says."""
    status = relay.status()
    spool = status["spool"]
    assert page.text("#name") == status["name"]
    assert page.text("#upstream-state") == status["upstream"]["state"]
    assert entry(page, "spool", "received") == spool["received_lsn"]
    assert entry(page, "spool", "durable") == spool["flushed_lsn"]
    assert entry(page, "spool", "oldest") == spool["oldest_lsn"]
    assert page.value("document.getElementById('spool-held').title") == f"{spool['bytes']} bytes"
    for standby in status["standbys"]:
        name = standby["application_name"]
        assert cell(page, "standby-rows", name, "bytes", "title") == f"{standby['lag_bytes']} bytes"
        assert cell(page, "standby-rows", name, "where") == standby["peer"]
        assert cell(page, "standby-rows", name, "state") == standby["state"]
    for destination in status["destinations"]:
        for column, key in (("day", "used_day_bytes"), ("month", "used_month_bytes"),
                            ("forecast", "forecast_month_bytes")):
            shown = cell(page, "destination-rows", destination["name"], column, "title")
            assert shown == f"{destination[key]} bytes", (destination["name"], column)
    return True


@pytest.mark.long
def test_its_figures_are_those_of_the_api_and_follow_them(site, tree, chromium):
    primary, hub, edge = tree
    evil = site.receivewal(hub, "evil", start=False)
    evil.command[evil.command.index("-d") + 1] = hub.conninfo(application_name=HOSTILE)
    evil.start()
    pages = [(open_page(chromium, hub), hub), (open_page(chromium, edge, width=390, dark=True), edge)]
    for _ in range(2):
        write_wal(primary, 4)
        edge.wait_flushed(primary.flush_lsn())
        for page, relay in pages:
            wait_until(lambda p=page, r=relay: assert_equal(p, r), 60)
    page, below = pages[0][0], pages[1][0]
    assert below.value("document.querySelector('#upstream-host a').href") == \
        f"http://127.0.0.1:{hub.http_port}/"
    assert page.value("document.querySelector('#upstream-host a')") is None
    page.wait("document.querySelectorAll('#rates-figure path.line').length > 0")
    page.wait("document.querySelectorAll('#days-figure rect.fill').length > 0")
    assert cell(page, "standby-rows", HOSTILE, "state") == "streaming"
    assert page.value("document.querySelectorAll('main img').length") == 0
    assert page.value("document.title") == "hub \u2013 ok"
    for page, relay in pages:
        assert not page.complaints()
        origin = f"http://127.0.0.1:{relay.http_port}/"
        assert {url for url in page.requested() if not url.startswith((origin, "data:"))} == set()
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.value(wide), "it scrolls sideways"


@pytest.mark.long
def test_its_charts_are_read_by_key_and_as_tables(tree, chromium):
    primary, hub, _ = tree
    page = open_page(chromium, hub)
    write_wal(primary, 2)
    page.wait("document.querySelectorAll('#days-figure rect.fill').length > 0")
    page.value("document.querySelector('#days-figure .chart').focus()")
    page.press("ArrowLeft")
    read = page.text("#days-figure [aria-live]")
    assert re.match(r"\d{4}-\d\d-\d\d: .*far [\d.]+ [kM]?B", read), read
    assert "Today" in page.value("document.querySelector('#days-figure .chart').ariaLabel")
    assert page.value("document.querySelector('#days-figure .limit')") is None
    page.value("(select => { select.value = 'far'; select.dispatchEvent(new Event('change')); })"
               "(document.getElementById('days-of'))")
    page.wait("document.querySelector('#days-figure .limit') !== null")
    page.value("document.querySelector('#days-figure details').open = true")
    page.wait("document.querySelectorAll('#days-figure table tr').length === 31")


@pytest.mark.long
def test_who_came_for_a_moment_is_no_curve(tree, chromium):
    _, hub, _ = tree
    page = open_page(chromium, hub)

    def named(**lags):
        standbys = [{"label": label, "lag_bytes": values, "replay_lag_seconds": values}
                    for label, values in lags.items()]
        history = {"interval_seconds": 10, "left_out": 0, "destinations": [], "standbys": standbys,
                   "times": [f"2026-01-02T03:04:{number}0Z" for number in range(4)]}
        return page.value(f"""(showHistory({json.dumps(history)}), Array.from(
            document.querySelectorAll("#lags-figure .legend li"), item => item.firstChild.textContent.trim()))""")
    assert named(long=[1, 2, 3, None], backup=[None, 7, 8, None], new=[None, None, None, 5],
                 never=[None] * 4) == ["long", "new"]


@pytest.mark.long
def test_it_says_when_the_relay_is_gone_and_when_it_is_back(site, chromium):
    primary = site.primary()
    relay = site.relay(primary)
    page = open_page(chromium, relay)
    assert page.value("document.getElementById('stale').hidden")
    assert page.text("#verdict li") == "Nothing needs attention"
    relay.stop()
    page.wait("!document.getElementById('stale').hidden")
    assert "does not answer" in page.text("#stale")
    assert "no answer" in page.value("document.title")
    calm = "getComputedStyle(document.querySelector('#verdict li')).display"
    assert page.value(calm) == "none", "it does not say that all is well"
    primary.stop()
    relay.start(wait=False)
    page.wait("document.getElementById('stale').hidden")
    page.wait("document.querySelector('#verdict li.bad') !== null")
    assert "upstream" in page.text("#verdict li").lower()
    primary.start()
    page.wait("document.querySelector('#verdict li.bad') === null")
