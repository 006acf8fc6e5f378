"""TCP ports nobody else uses, below the kernel's range for outgoing connections."""
import os
import random
import socket

FIRST, LAST = 12000, 32000
_next = random.Random(f"{os.getpid()} {os.environ.get('PYTEST_XDIST_WORKER', '')}").randrange(
    FIRST, LAST)


def free_port():
    global _next
    for _ in range(LAST - FIRST):
        _next = FIRST if _next + 1 >= LAST else _next + 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", _next))
            except OSError:
                continue
            return _next
    raise RuntimeError("no free port")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
