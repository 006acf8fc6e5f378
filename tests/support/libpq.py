"""Connection attempts through one libpq, which is loaded by its path in a process of its own.

libpq keeps no SQLSTATE of a connection that failed, but its verbose messages name it.
"""
import ctypes
import ctypes.util
import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path

SQLSTATE = re.compile(r"FATAL:\s+(\w{5}): (.*)")
OK, BAD, READING, WRITING, POLL_OK, VERBOSE = 0, 1, 1, 2, 3, 2
DEADLINE_MS = 60000


def own():
    """That of the machine's packages."""
    return ctypes.util.find_library("pq")


def newest(cache, major=18):
    """That of another PostgreSQL, fetched once with npm; raises when it cannot be had."""
    program = Path(__file__).with_name("postgres_versions.py")
    done = subprocess.run([sys.executable, program, cache, str(major)], capture_output=True,
                          text=True, timeout=200, check=False)
    if done.returncode != 0:
        raise FileNotFoundError((done.stderr.strip() or "npm failed").splitlines()[-1])
    return Path(done.stdout.strip()).parent / "lib" / "libpq.so.5"


def version(path):
    return attempts(path, [])[1]


def attempts(path, conninfos):
    """What came of each conninfo: a list of {"is_ok", "fatal": [[sqlstate, message], ...], "text",
    "version": of the protocol}; and libpq's version."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(Path(path).parent)} if "/" in str(path) else None
    done = subprocess.run([sys.executable, __file__, str(path)], input=json.dumps(conninfos), text=True,
                          capture_output=True, env=environment, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["results"], told["version"]


# --- in the process of its own ---

class Libpq:
    def __init__(self, path):
        self.pq = ctypes.CDLL(path)
        pointer = ctypes.c_void_p
        for name, result, arguments in [
                ("PQconnectStart", pointer, [ctypes.c_char_p]), ("PQfinish", None, [pointer]),
                ("PQconnectPoll", ctypes.c_int, [pointer]), ("PQstatus", ctypes.c_int, [pointer]),
                ("PQsocket", ctypes.c_int, [pointer]), ("PQlibVersion", ctypes.c_int, []),
                ("PQsetErrorVerbosity", ctypes.c_int, [pointer, ctypes.c_int]),
                ("PQerrorMessage", ctypes.c_char_p, [pointer]),
                ("PQprotocolVersion", ctypes.c_int, [pointer])]:
            function = getattr(self.pq, name)
            function.restype, function.argtypes = result, arguments

    def _poll(self, connection):
        waits_for = WRITING
        while self.pq.PQstatus(connection) != BAD:
            poll = select.poll()
            poll.register(self.pq.PQsocket(connection),
                          select.POLLOUT if waits_for == WRITING else select.POLLIN)
            if not poll.poll(DEADLINE_MS):
                raise TimeoutError("no answer")
            waits_for = self.pq.PQconnectPoll(connection)
            if waits_for in (0, POLL_OK):
                return

    def attempt(self, conninfo):
        connection = self.pq.PQconnectStart(conninfo.encode())
        self.pq.PQsetErrorVerbosity(connection, VERBOSE)
        self._poll(connection)
        text = self.pq.PQerrorMessage(connection).decode()
        result = {"is_ok": self.pq.PQstatus(connection) == OK, "text": text,
                  "fatal": SQLSTATE.findall(text),
                  "protocol": self.pq.PQprotocolVersion(connection)}
        self.pq.PQfinish(connection)
        return result


def main():
    libpq = Libpq(sys.argv[1])
    results = [libpq.attempt(conninfo) for conninfo in json.load(sys.stdin)]
    json.dump({"results": results, "version": libpq.pq.PQlibVersion()}, sys.stdout)


if __name__ == "__main__":
    main()
