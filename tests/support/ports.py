"""TCP ports nobody else uses, below the kernel's range for outgoing connections.

Between the moment a port is found free and the moment a server listens on it others look for one, too:
other workers of this run and other runs. So each process takes its ports from blocks that it has locked.
"""
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST, BLOCK = 12000, 32000, 50
LOCKS = Path(tempfile.gettempdir()) / "walrelay-test-ports"
_random = random.Random(f"{os.getpid()} {os.environ.get('PYTEST_XDIST_WORKER', '')}")
_locks = []  # held until the process ends
_left = []


def _lock(number):
    """None: somebody else's."""
    try:
        lock = os.open(LOCKS / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # of a user with another umask
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _take_block():
    LOCKS.mkdir(exist_ok=True)
    if LOCKS.stat().st_uid == os.getuid():
        LOCKS.chmod(0o1777)
    numbers = list(range((LAST - FIRST) // BLOCK))
    _random.shuffle(numbers)
    for number in numbers:
        lock = _lock(number)
        if lock is not None:
            _locks.append(lock)
            return [FIRST + number * BLOCK + i for i in reversed(range(BLOCK))]
    raise RuntimeError(f"all ports are taken: see {LOCKS}")


def free_port():
    while True:
        if not _left:
            _left.extend(_take_block())
        port = _left.pop()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
