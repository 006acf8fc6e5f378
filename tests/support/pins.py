"""What the tests of pins share: a relay that keeps no more than it must, and WAL for it to let go."""

ROWS = "SELECT generate_series(1, 20000) AS a, 'some text to fill segments' AS b"
TIGHT = {"retain_size": "1MB", "retain_time": "0s", "max_size": "8GB", "min_free": "1MB"}


def console_relay(site, primary, **spool):
    return site.relay(primary, spool={**TIGHT, **spool}, relay={"admin_users": "replicator"})


def write(primary, table):
    """A table of a few segments of 1 MB; the end of the segment with its last row."""
    primary.execute(f"CREATE TABLE {table} AS {ROWS}")
    return primary.switch_wal()
