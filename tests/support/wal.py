"""LSNs, segment names, and the comparison of directories that hold WAL."""
import re
from pathlib import Path

SEGMENT_NAME = re.compile(r"^[0-9A-F]{24}$")


def parse_lsn(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def format_lsn(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def segment_name(timeline, lsn, segment_bytes):
    number = lsn // segment_bytes
    per_log = (1 << 32) // segment_bytes
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"


def segment_start(name, segment_bytes):
    per_log = (1 << 32) // segment_bytes
    return (int(name[8:16], 16) * per_log + int(name[16:24], 16)) * segment_bytes


def segments(directory):
    return sorted(entry.name for entry in Path(directory).iterdir()
                  if SEGMENT_NAME.match(entry.name))


def assert_same_wal(directory, reference, end_lsn, segment_bytes, at_least=1, prefix=""):
    """Every segment in directory that ends at or before end_lsn equals its namesake in reference.
    Returns the names compared, all of which begin with prefix (a timeline). A segment that reference no longer holds is an error of the test."""
    compared = []
    for name in segments(directory):
        if segment_start(name, segment_bytes) + segment_bytes > end_lsn \
                or not name.startswith(prefix):
            continue
        ours = (Path(directory) / name).read_bytes()
        theirs = (Path(reference) / name).read_bytes()
        assert len(ours) == segment_bytes, f"{directory}/{name} has {len(ours)} bytes"
        if ours != theirs:
            at = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
            raise AssertionError(f"{directory}/{name} differs from {reference} at byte {at}")
        compared.append(name)
    assert len(compared) >= at_least, f"only {len(compared)} complete segments in {directory}"
    return compared


def assert_spools_hold(primary, relays, end, **waits):
    """Every segment of every relay is the primary's, byte by byte, up to end."""
    for relay in relays:
        relay.wait_flushed(end, **waits)
        assert_same_wal(relay.spool, primary.pg_wal, end, primary.wal_segment_bytes)


def assert_same_spools(primary, *relays):
    assert_spools_hold(primary, relays, primary.switch_wal())


def directory_bytes(directory):
    """What a directory of WAL takes, as du would say; files may go while we look."""
    total = 0
    for entry in Path(directory).iterdir():
        try:
            total += entry.stat().st_blocks * 512
        except FileNotFoundError:
            pass
    return total
