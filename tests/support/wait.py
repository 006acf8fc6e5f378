"""Waiting for a condition with a deadline, the only way a test waits."""
import time


class Timeout(AssertionError):
    pass


def wait_until(condition, deadline=30.0, what=None, interval=0.05):
    """Calls condition() until it returns something true, and returns that. An exception of it counts
    as "not yet" and is shown when the deadline passes."""
    end = time.monotonic() + deadline
    while True:
        last, failure = None, None
        try:
            last = condition()
        except Exception as caught:  # pylint: disable=broad-except
            failure = caught
        if last:
            return last
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "the condition")
            raise Timeout(f"waited {deadline} s for {name}: last {failure or last!r}") from failure
        time.sleep(interval)


def holds_for(condition, seconds, what=None, interval=0.1):
    """Fails as soon as condition() is false within that time: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer true: {what or condition}"
        time.sleep(interval)
