"""Chromium without a window, driven over the pipe of its DevTools protocol."""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

from support.process import Process
from support.wait import wait_until

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
         "--disable-backgrounding-occluded-windows", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


def find():
    """Where it is; None: not installed."""
    return shutil.which("chromium")


class Browser(Process):
    """Reaches 127.0.0.1 and nothing else."""

    def __init__(self, directory):
        super().__init__("chromium", directory)
        self.number = 0
        self.rest = b""
        self.pages = {}

    def start(self):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_read, from_write)]
        command = [find(), *FLAGS, f"--user-data-dir={self.directory / 'profile'}", "about:blank"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", "bash", "-c",
                 f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "chromium", *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=ends,
                cwd=self.directory)
        for fd in (to_read, from_write, *ends):
            os.close(fd)
        self.input, self.output = to_write, from_read
        return self

    def read(self, deadline):
        """The next message."""
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.output], [], [], left)[0], \
                f"chromium says nothing: {self.log_text()[-1000:]}"
            piece = os.read(self.output, 1 << 20)
            assert piece, f"chromium has ended: {self.log_text()[-1000:]}"
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def take(self, message):
        page = self.pages.get(message.get("sessionId"))
        if page and "method" in message:
            page.events.append(message)

    def call(self, method, session=None, deadline=60, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        os.write(self.input, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + deadline
        while (message := self.read(end)).get("id") != self.number:
            self.take(message)
        assert "error" not in message, f"{method}: {message['error']}"
        return message["result"]

    def page(self, url, width=1440, height=900, dark=False):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, target, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 700)
        page.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        # Each is looked at, also where another was opened after it.
        page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        page.call("Page.navigate", url=url)
        return page


class Page:
    def __init__(self, browser, target, session):
        self.browser = browser
        self.target = target
        self.session = session
        self.events = []

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def value(self, expression):
        """What the expression is, or what its promise comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector):
        return self.value(f"(document.querySelector({json.dumps(selector)}) || {{}}).textContent")

    def wait(self, expression, deadline=30):
        return wait_until(lambda: self.value(expression), deadline, expression)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def requested(self):
        """Every URL that was asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """Exceptions, and warnings and errors of the console."""
        found = []
        for event in self.events:
            name, parameters = event["method"], event["params"]
            if name == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"])
            elif name == "Log.entryAdded" and parameters["entry"]["level"] in ("warning", "error"):
                found.append(parameters["entry"])
            elif name == "Runtime.consoleAPICalled" and parameters["type"] in ("warning", "error"):
                found.append(parameters)
        return found

    def screenshot(self, path):
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(picture["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        self.browser.pages.pop(self.session)
