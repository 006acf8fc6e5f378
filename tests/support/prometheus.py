"""A real Prometheus that scrapes relays, with docker/prometheus.yml but for addresses and intervals."""
import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

from support.ports import free_port
from support.process import Process
from support.wait import wait_until

DOCKER = Path(__file__).resolve().parents[2] / "docker"


def is_installed():
    return shutil.which("prometheus") is not None


def promtool(*arguments, text_input=None):
    """What it prints; an error or, of `check metrics`, a remark fails."""
    done = subprocess.run(["promtool", *map(str, arguments)], input=text_input, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, f"promtool {arguments}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Prometheus(Process):
    def __init__(self, name, directory, relays):
        """relays: {the target of the sample: the relay that stands for it}"""
        super().__init__(name, directory)
        self.port = free_port()
        config = (DOCKER / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "1s")
        for target, relay in relays.items():
            assert target in config, target
            config = config.replace(target, f"127.0.0.1:{relay.http_port}")
        self.config = self.directory / "prometheus.yml"
        self.config.write_text(config, encoding="utf-8")
        shutil.copy(DOCKER / "prometheus-rules.yml", self.directory)
        promtool("check", "config", self.config)

    def start(self):
        self.spawn(["prometheus", f"--config.file={self.config}",
                    f"--storage.tsdb.path={self.directory}/tsdb",
                    f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])
        wait_until(self.is_ready, 60, "Prometheus to be ready")
        return self

    def is_ready(self):
        assert self.is_running, self.log_text()
        try:
            return self.ask("/-/ready") is not None
        except OSError:
            return False

    def ask(self, path, **parameters):
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}{query}", timeout=10) as answer:
            return answer.read().decode()

    def api(self, path, **parameters):
        answer = json.loads(self.ask(f"/api/v1/{path}", **parameters))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """[(labels, value), ...] at present."""
        return [(each["metric"], float(each["value"][1]))
                for each in self.api("query", query=expression)["result"]]
