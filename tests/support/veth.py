"""The far side of a veth pair that tests/run has made, and what the near end of it counts."""
import json
import os
import socket
from pathlib import Path

NEAR = "10.81.0.1"
ETHERNET_BYTES = 14
STATISTICS = Path("/sys/class/net/veth_near/statistics")


def is_available():
    return bool(os.environ.get("WALRELAY_VETH"))


def ip_bytes(direction):
    """IP bytes that have left ("tx") or come in ("rx") so far."""
    def count(name):
        return int((STATISTICS / f"{direction}_{name}").read_text())
    return count("bytes") - ETHERNET_BYTES * count("packets")


class FarProgram:
    """A program on the far side, ended with the site."""

    def __init__(self, name, directory, command):
        directory.mkdir(exist_ok=True)
        self.name = name
        self.log = directory / f"{name}.log"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(Path(os.environ["WALRELAY_VETH"]) / "agent"))
        self.socket.sendall(json.dumps(
            {"command": [str(word) for word in command], "log": str(self.log)}).encode() + b"\n")

    def wait(self, deadline=120):
        """Its exit code, once it has ended by itself."""
        self.socket.settimeout(deadline)
        code = int(self.socket.makefile().readline())
        self.socket.close()
        return code

    def stop(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self.wait(30)

    def log_text(self):
        return self.log.read_text(errors="replace")
