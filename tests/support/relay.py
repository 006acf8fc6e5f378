"""A walrelay process with a configuration of its own, and what it says about itself."""
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from support.ports import free_port
from support.postgres import quote_conninfo
from support.process import Process
from support.wait import wait_until

TRUST = ("local replication all trust\nhost replication all 127.0.0.1/32 trust\n"
         "local all all trust\nhost all all 127.0.0.1/32 trust\n")
# What a sanitizer, an assertion or libevent complains about is a fault of the relay.
FAULT = re.compile(r"^.*(?:(?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:"
                   r"|Assertion .* failed|WARNING: libevent: ).*$", re.MULTILINE)


def binary():
    path = Path(os.environ.get("WALRELAY_BINARY", "build/relay/cli/walrelay")).resolve()
    assert path.exists(), f"no walrelay at {path}: set WALRELAY_BINARY, or use tests/run"
    return path


def run_cli(*arguments, text_input=None, deadline=60):
    """Runs a walrelay command to its end."""
    return subprocess.run([binary(), *map(str, arguments)], input=text_input or "",
                          capture_output=True, text=True, timeout=deadline, check=False)


class Relay(Process):
    def __init__(self, name, directory, upstream, data_dir=None):
        """upstream: a conninfo, or a server with conninfo()."""
        super().__init__(name, directory)
        self.port = free_port()
        self.http_port = free_port()
        self.data_dir = Path(data_dir or self.directory / "data")
        self.config_file = self.directory / "walrelay.ini"
        self.hba_file = self.directory / "hba.conf"
        self.auth_file = self.directory / "users.txt"
        self.hba_file.write_text(TRUST, encoding="utf-8")
        self.auth_file.touch(mode=0o600)
        conninfo = upstream if isinstance(upstream, str) else upstream.conninfo()
        self.sections = {
            "relay": {"name": name, "listen": f"127.0.0.1:{self.port}", "data_dir": self.data_dir,
                      "http_listen": f"127.0.0.1:{self.http_port}", "auth_file": self.auth_file,
                      "hba_file": self.hba_file, "sender_threads": 2},
            "upstream": {"conninfo": conninfo},
            "spool": {"retain_size": "64MB", "retain_time": "0s", "max_size": "8GB",
                      "min_free": "16MB"},
        }
        self.checked_to = 0

    # --- configuration ---

    def configure(self, section=None, **values):
        """Sets keys of a section and writes the file; a value of None takes the key out."""
        if section:
            keys = self.sections.setdefault(section, {})
            for key, value in values.items():
                if value is None:
                    keys.pop(key, None)
                else:
                    keys[key] = value
        with open(self.config_file, "w", encoding="utf-8") as file:
            for name, keys in self.sections.items():
                file.write(f"[{name}]\n")
                file.writelines(f"{key} = {value}\n" for key, value in keys.items())
        return self

    def reload(self):
        """SIGHUP; returns where its log stood."""
        before = self.log_size()
        self.send(signal.SIGHUP)
        return before

    # --- running ---

    def start(self, wait=True, deadline=60, command=None, env=None):
        self.configure()
        self.spawn(command or [binary(), "serve", "-c", self.config_file], env=env)
        if wait:
            self.wait_ready(deadline)
        return self

    def wait_ready(self, deadline=60):
        wait_until(self.is_ready, deadline, f"{self.name} to be ready")

    def is_ready(self):
        assert self.is_running, f"{self.name} ended: {self.log_text()[-2000:]}"
        return self.get("/readyz")[0] == 200

    def stop(self, deadline=30):
        """A clean stop: SIGTERM, exit code 0, and no sanitizer has complained."""
        code = self.terminate(signal.SIGTERM, deadline)
        self.check_log()
        assert code == 0, f"{self.name} ended with {code}: {self.log_text()[-2000:]}"

    def check_log(self):
        """Fails on whatever a sanitizer, an assertion or libevent has said since the last look."""
        text = self.log_text(self.checked_to)
        self.checked_to = self.log_size()
        found = FAULT.search(text)
        assert not found, f"{self.name}: {text[max(0, found.start() - 500):found.start() + 4000]}"

    # --- what it says ---

    def get(self, path, method="GET"):
        """Status and body of an HTTP request."""
        url = f"http://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method),
                                        timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def status(self):
        return json.loads(self.get("/api/status")[1])

    def metrics(self):
        """{name: [(labels, value), ...]}"""
        return parse_metrics(self.get("/metrics")[1])

    def metric(self, name, **labels):
        """The value of the one sample whose labels include the given ones; None: there is none."""
        values = [value for has, value in self.metrics().get(f"walrelay_{name}", [])
                  if labels.items() <= has.items()]
        assert len(values) < 2, f"walrelay_{name}{labels} has {len(values)} samples"
        return values[0] if values else None

    def received_lsn(self):
        return int(self.metric("upstream_received_lsn_bytes") or 0)

    def flushed_lsn(self):
        return int(self.metric("upstream_flushed_lsn_bytes") or 0)

    def is_connected(self):
        return self.metric("upstream_connected") == 1

    def standby_count(self):
        return int(sum(value for _, value in self.metrics().get("walrelay_standbys", [])))

    def wait_received(self, lsn, deadline=60):
        wait_until(lambda: self.received_lsn() >= lsn, deadline, f"{self.name} to receive {lsn:X}")

    def wait_flushed(self, lsn, deadline=60):
        wait_until(lambda: self.flushed_lsn() >= lsn, deadline, f"{self.name} to flush {lsn:X}")

    def conninfo(self, **parameters):
        return quote_conninfo({"host": "127.0.0.1", "port": self.port, "user": "replicator",
                               **parameters})

    @property
    def spool(self):
        return self.data_dir / "wal"


METRIC_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text):
    samples = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            found = METRIC_LINE.match(line)
            assert found, f"not a sample: {line}"
            name, labels, value = found.groups()
            samples.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))
    return samples
