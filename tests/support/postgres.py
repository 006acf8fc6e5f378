"""A real PostgreSQL server under a scratch directory."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.ports import free_port
from support.process import Process
from support.wait import wait_until
from support.wal import parse_lsn

DEFAULT_BIN = Path("/usr/lib/postgresql")

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    # Durability is tested where it is the relay's; the servers here need not sync.
    "fsync": "off",
    "wal_level": "replica",
    "max_wal_senders": "40",
    "max_replication_slots": "40",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "8GB",
    "autovacuum": "off",
    "hot_standby": "on",
    "log_replication_commands": "on",
    "wal_retrieve_retry_interval": "500ms",
    # Where it goes with the directory: what is killed leaves its memory behind.
    "dynamic_shared_memory_type": "mmap",
}


def default_bin():
    """The newest server of the machine's own packages."""
    versions = [path for path in DEFAULT_BIN.iterdir() if (path / "bin" / "postgres").exists()]
    return max(versions, key=lambda path: float(path.name)) / "bin"


def quote_conninfo(parameters):
    def quote(value):
        text = str(value).replace("\\", "\\\\").replace("'", "\\'")
        return f"'{text}'" if re.search(r"[\s']", text) or text == "" else text
    return " ".join(f"{key}={quote(value)}" for key, value in parameters.items())


class Postgres(Process):
    death_signal = "QUIT"

    def __init__(self, name, directory, bin_dir=None, user="postgres"):
        super().__init__(name, directory)
        self.bin_dir = Path(bin_dir or default_bin())
        self.user = user
        self.port = free_port()
        self.data = self.directory / "data"
        self.major = major_version(self.bin_dir)
        self.wal_segment_bytes = 16 << 20
        self._connection = None

    # --- making one ---

    def initdb(self, wal_segsize=16, fresh=False, initdb_options=(), **settings):
        """A new cluster, copied from a template made once (all copies have one system identifier)
        unless it is to be a fresh one, or one with options of its own."""
        self.wal_segment_bytes = wal_segsize << 20
        if fresh or initdb_options:
            run_initdb(self.bin_dir, self.data, wal_segsize, initdb_options)
        else:
            copy_tree(template(self.bin_dir, self.major, wal_segsize), self.data)
        with open(self.data / "pg_hba.conf", "w", encoding="utf-8") as file:
            file.write("local all all trust\nhost all all 127.0.0.1/32 trust\n"
                       "local replication all trust\nhost replication all 127.0.0.1/32 trust\n")
        keep = {"wal_keep_size": "4GB"} if self.major >= 13 else {}
        self.configure(**{**SETTINGS, **keep, **settings})
        return self

    def configure(self, **settings):
        settings.setdefault("port", self.port)
        settings.setdefault("unix_socket_directories", f"'{self.directory}'")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            for key, value in settings.items():
                file.write(f"{key} = {value}\n")

    def clone(self, source):
        """Becomes a copy of a running server without its WAL: that is for the stream to bring."""
        self.wal_segment_bytes = source.wal_segment_bytes
        start, stop = "pg_backup_start(%s, true)", "labelfile FROM pg_backup_stop(false)"
        if source.major < 15:
            start, stop = "pg_start_backup(%s, true, false)", "labelfile FROM pg_stop_backup(false, false)"
        with source.connect() as connection:
            connection.execute(f"SELECT {start}", [self.name])
            copy_tree(source.data, self.data, skip_contents=["pg_wal", "pg_replslot"],
                      skip=["postmaster.pid", "postmaster.opts"])
            label = connection.execute(f"SELECT {stop}").fetchone()[0]
        (self.data / "backup_label").write_text(label, encoding="utf-8")
        (self.data / "pg_wal" / "archive_status").mkdir(exist_ok=True)
        self.configure()
        return self

    def basebackup(self, upstream_conninfo, *arguments, client_bin=None, deadline=120):
        """Becomes what pg_basebackup makes of that."""
        done = subprocess.run(
            [(client_bin or self.bin_dir) / "pg_basebackup", "-D", self.data, "-d", upstream_conninfo, "-c", "fast",
             "--no-sync", *arguments], capture_output=True, text=True, timeout=deadline, check=False)
        assert done.returncode == 0, f"pg_basebackup: {done.stderr}"
        self.configure()
        return self

    def follow(self, conninfo, slot=None, **settings):
        """Becomes a standby of what conninfo names."""
        (self.data / "standby.signal").touch()
        text = conninfo.replace("'", "''")
        settings["primary_conninfo"] = f"'{text}'"
        settings["primary_slot_name"] = f"'{slot or ''}'"
        self.configure(**settings)
        return self

    # --- running ---

    def start(self, wait=True, deadline=60):
        self.spawn([self.bin_dir / "postgres", "-D", self.data])
        if wait:
            wait_until(self.is_accepting, deadline, f"{self.name} to accept connections")
        return self

    def is_accepting(self):
        assert self.is_running, f"{self.name} ended: {self.log_text()[-2000:]}"
        return self.value("SELECT 1") == 1

    def stop(self, mode="fast", deadline=60):
        self.disconnect()
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        return self.terminate(number, deadline)

    def kill9(self):
        self.disconnect()
        shared_memory = self.shared_memory()
        super().kill9()
        if shared_memory is not None:
            subprocess.run(["ipcrm", "-m", shared_memory], stderr=subprocess.DEVNULL, check=False)

    def shared_memory(self):
        """The identifier of its System V segment, of which the kernel has only 4096 for all."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        words = lines[6].split() if len(lines) > 6 else []
        return words[1] if len(words) == 2 else None

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def promote(self):
        self.execute("SELECT pg_promote(true, 60)")
        self.disconnect()

    def reload(self):
        self.send(signal.SIGHUP)

    # --- asking ---

    def conninfo(self, **parameters):
        return quote_conninfo({"host": "127.0.0.1", "port": self.port, "user": self.user,
                               **parameters})

    def connect(self, **parameters):
        import psycopg  # not needed by those who only start and stop servers
        parameters.setdefault("dbname", "postgres")
        return psycopg.connect(self.conninfo(connect_timeout=10, **parameters), autocommit=True)

    def execute(self, sql, *values):
        """Runs one statement on a connection that is kept; its rows, or None."""
        if self._connection is None or self._connection.closed:
            self._connection = self.connect()
        try:
            cursor = self._connection.execute(sql, values or None)
        except Exception:
            if self._connection.closed or self._connection.broken:
                self.disconnect()
            raise
        return cursor.fetchall() if cursor.description else None

    def value(self, sql, *values):
        return self.execute(sql, *values)[0][0]

    def disconnect(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def psql(self, sql, dbname="postgres"):
        done = subprocess.run(
            [self.bin_dir / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
             self.conninfo(dbname=dbname), "-c", sql], capture_output=True, text=True, timeout=60,
            check=True)
        return done.stdout.strip()

    def flush_lsn(self):
        return parse_lsn(self.value("SELECT pg_current_wal_flush_lsn()::text"))

    def insert_lsn(self):
        return parse_lsn(self.value("SELECT pg_current_wal_insert_lsn()::text"))

    def replay_lsn(self):
        text = self.value("SELECT pg_last_wal_replay_lsn()::text")
        return parse_lsn(text) if text else 0

    def timeline(self):
        return self.value("SELECT timeline_id FROM pg_control_checkpoint()")

    def switch_wal(self):
        """Completes the current segment; the LSN at which the next begins."""
        self.execute("CREATE TABLE IF NOT EXISTS switches (at timestamptz)")
        self.execute("INSERT INTO switches VALUES (now())")
        self.execute("SELECT pg_switch_wal()")
        return self.insert_lsn() // self.wal_segment_bytes * self.wal_segment_bytes

    def walsenders(self):
        """The names of those connected to stream, back up or ask."""
        return sorted(row[0] for row in self.execute(
            "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'walsender'"))

    def catch_up(self, source, deadline=60):
        """Waits until this standby has replayed all that source has now."""
        target = source.flush_lsn()
        wait_until(lambda: self.replay_lsn() >= target, deadline,
                   f"{self.name} to replay what {source.name} has")

    @property
    def pg_wal(self):
        return self.data / "pg_wal"


def major_version(bin_dir):
    text = subprocess.run([Path(bin_dir) / "postgres", "--version"], capture_output=True, text=True,
                          check=True).stdout
    return int(re.search(r"(\d+)", text).group(1))


def run_initdb(bin_dir, data, wal_segsize, options=()):
    command = [Path(bin_dir) / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
               "--no-locale", "--no-sync", "--wal-segsize", str(wal_segsize),
               *options]
    subprocess.run(command, check=True, capture_output=True)


def template(bin_dir, major, wal_segsize):
    """A data directory made once for all tests of all processes."""
    cache = Path(os.environ.get("WALRELAY_TEST_CACHE") or
                 Path(tempfile.gettempdir()) / f"walrelay-templates-{os.getuid()}") / "templates"
    cache.mkdir(parents=True, exist_ok=True)
    data = cache / f"{major}-{wal_segsize}"
    with open(cache / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not data.exists():
            shutil.rmtree(cache / "new", ignore_errors=True)
            run_initdb(bin_dir, cache / "new", wal_segsize)
            (cache / "new").rename(data)
    return data


def copy_tree(source, target, skip=(), skip_contents=()):
    """Copies a data directory, perhaps of a running server, whose files may come and go."""
    def ignore(folder, names):
        if Path(folder) == Path(source):
            return [name for name in names if name in skip]
        if Path(folder).parent == Path(source) and Path(folder).name in skip_contents:
            return names
        return []
    try:
        shutil.copytree(source, target, ignore=ignore)
    except shutil.Error as failure:
        others = [error for error in failure.args[0] if "No such file" not in error[2]]
        if others:
            raise
    os.chmod(target, 0o700)
