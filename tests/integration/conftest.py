"""Fixtures of the tests against real servers. tests/README.md says how to run them."""
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support import wan as support_wan  # noqa: E402
from support.site import Site  # noqa: E402
from support.tcp_proxy import TcpProxy  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--postgres-bin", help="directory of the server binaries to test with")
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")
    parser.addoption("--drill-rounds", type=int, default=0, help="faults, or failovers, of a drill")


def pytest_configure(config):
    config.addinivalue_line("markers", "any_version: also run on every other PostgreSQL version")
    config.addinivalue_line("markers", "long: takes minutes, and is run with --long alone")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: --long"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of each log of its site."""
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)
    site = item.funcargs.get("site") if hasattr(item, "funcargs") else None
    if report.failed and site is not None and report.when == "call":
        for name, text in site.logs():
            report.sections.append((f"log of {name}", text))


def pytest_terminal_summary(terminalreporter):
    """What tests measured on their way: record_property("figures", one line)."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(value)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_end_what_is_started():
    """What runs in the background of a script ignores them, and all that it starts does so too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def site(request):
    made = Site(request.config.getoption("--postgres-bin"))
    yield made
    faults = made.close()
    assert not faults, "\n".join(faults)


@pytest.fixture
def small_disk(tmp_path_factory):
    """A file system of about 100 MB that may be filled."""
    place = os.environ.get("WALRELAY_SMALL_DISK")
    if not place:
        pytest.skip("needs a small file system of its own, which tests/run makes when run as root")
    directory = Path(place) / tmp_path_factory.mktemp("disk").name
    directory.mkdir()
    yield directory
    import shutil
    shutil.rmtree(directory)


@pytest.fixture
def wan(site):
    """Makes a path: wan(congestion="bbr", **its figures). One test at a time may."""
    if not support_wan.is_available():
        pytest.skip("needs a network namespace with TUN devices, which tests/run makes when run as root")
    return lambda congestion="bbr", **figures: site.add(
        support_wan.Wan(site.directory / f"wan_{congestion}", congestion, **figures)).start()


@pytest.fixture
def proxy():
    """Makes proxies in front of relays that are gone with the test."""
    made = []

    def make(relay):
        made.append(TcpProxy(relay.port))
        return made[-1]
    yield make
    for one in made:
        one.close()
