"""A pgbench load, and the comparison of two servers' rows."""
import subprocess

from support.process import Process
from support.wait import wait_until

TABLES = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"]


def pgbench_init(server, scale=1, client_bin=None, deadline=600):
    subprocess.run([(client_bin or server.bin_dir) / "pgbench", "-i", "-q", "-s", str(scale),
                    server.conninfo(dbname="postgres")], check=True, capture_output=True, timeout=deadline)


def write_wal(primary, megabytes):
    """That much WAL, from a table that is emptied again."""
    primary.execute("CREATE TABLE IF NOT EXISTS filler (a int, b text)")
    start = primary.insert_lsn()
    while primary.insert_lsn() - start < megabytes << 20:
        primary.execute("INSERT INTO filler SELECT i, repeat(md5(i::text), 30) "
                        "FROM generate_series(1, 1000) i")
        primary.execute("TRUNCATE filler")


def write_noise(primary, megabytes):
    """WAL that does not get much smaller."""
    primary.execute("CREATE TABLE IF NOT EXISTS noise (a int, b text)")
    start = primary.insert_lsn()
    while primary.insert_lsn() - start < megabytes << 20:
        primary.execute("INSERT INTO noise SELECT i, string_agg(md5(random()::text), '') "
                        "FROM generate_series(1, 1000) i, generate_series(1, 60) j GROUP BY i")


class Pgbench(Process):
    """Runs until stopped or until its seconds are over; loses connections without minding."""

    def __init__(self, name, directory, server, clients=2, seconds=600, rate=None, client_bin=None):
        super().__init__(name, directory)
        self.server = server
        self.command = [(client_bin or server.bin_dir) / "pgbench", "-n", "-c", clients, "-j", "1",
                        "-T", seconds]
        if rate:
            self.command += ["-R", rate]
        self.command.append(server.conninfo(dbname="postgres"))

    def start(self):
        self.spawn(self.command)
        return self

    def stop(self):
        """Also waits for the transactions it leaves behind: the server ends them in its own time."""
        if self.is_running:
            self.terminate()
        if self.server.is_running:
            wait_until(lambda: self.server.value(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'") == 0,
                what="the server to be done with pgbench")


def fingerprint(server, table):
    count, total = server.execute(
        f"SELECT count(*), sum(hashtextextended(t::text, 0))::text FROM {table} t")[0]
    return count, total


def assert_same_rows(primary, standby, tables=tuple(TABLES)):
    for table in tables:
        ours, theirs = fingerprint(primary, table), fingerprint(standby, table)
        assert ours == theirs, f"{table}: {ours} on {primary.name}, {theirs} on {standby.name}"
