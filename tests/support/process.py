"""A server process of a test: started, frozen, killed, and read in its log."""
import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from support.wait import wait_until



def children_of(pid):
    """Process ids of the children of pid, and theirs."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        new = parents.get(todo.pop(), [])
        found += new
        todo += new
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Process:
    """One server. Its standard output and error go to log, which a restart appends to."""

    # What the kernel sends it when this process is gone, however it went; None: it stays.
    death_signal = "KILL"

    def __init__(self, name, directory):
        self.name = name
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / f"{name}.log"
        self.process = None

    def spawn(self, command, env=None):
        assert not self.is_running, f"{self.name} runs already"
        command = [str(word) for word in command]
        if self.death_signal:
            command = ["setpriv", "--pdeathsig", self.death_signal, "--", *command]
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env,
                cwd=self.directory, start_new_session=not self.death_signal)

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """SIGSTOP to the whole tree."""
        signal_all([self.pid, *children_of(self.pid)], signal.SIGSTOP)

    def thaw(self):
        signal_all([self.pid, *children_of(self.pid)], signal.SIGCONT)

    def kill9(self):
        """As the kernel would: at once, with everything it started."""
        tree = [self.pid, *children_of(self.pid)]
        signal_all(tree, signal.SIGKILL)
        self.process.wait(30)
        wait_until(lambda: not any(map(is_alive, tree)), what=f"{self.name} to be gone")

    def terminate(self, number=signal.SIGTERM, deadline=30):
        """Sends the signal, waits for the end and returns the exit code."""
        self.send(number)
        return self.process.wait(deadline)

    def log_text(self, start=0):
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def log_size(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def wait_for_log(self, pattern, start=0, deadline=30):
        """The first match of the pattern in what was logged from start on."""
        return wait_until(lambda: re.search(pattern, self.log_text(start)), deadline,
                          f'"{pattern}" in the log of {self.name}')
