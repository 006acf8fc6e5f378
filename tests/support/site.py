"""What a test sets up: servers, relays and clients under one scratch directory with a short path
(Unix sockets allow 107 characters), all ended and looked through when the test is over."""
import re
import shutil
import tempfile
from pathlib import Path

from support.load import Pgbench, pgbench_init
from support.postgres import Postgres, default_bin
from support.process import Process
from support.receivewal import PgReceivewal
from support.relay import Relay


# What a line of a log begins with, of servers and relays: time and process.
LOG_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+ \[\d+\] ")


def without_repeats(text):
    """A line that only repeats the one before it is left out."""
    said = [(LOG_PREFIX.sub("", line), line) for line in text.splitlines()]
    return "\n".join(line for number, (words, line) in enumerate(said)
                     if number == 0 or words != said[number - 1][0])


class Site:
    def __init__(self, bin_dir=None, prefix="wr."):
        self.directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
        self.client_bin = default_bin()
        self.bin_dir = Path(bin_dir) if bin_dir else self.client_bin
        self.processes = []

    def add(self, process):
        self.processes.append(process)
        return process

    def primary(self, name="primary", wal_segsize=16, fresh=False, **settings):
        """A running primary."""
        server = Postgres(name, self.directory / name, self.bin_dir)
        self.add(server).initdb(wal_segsize, fresh, **settings)
        return server.start()

    def relay(self, source, name="relay", start=True, **sections):
        """A running relay that follows source (a server, or a conninfo); sections: spool={...},
        upstream={...} override its configuration."""
        relay = self.add(Relay(name, self.directory / name, source))
        for section, values in sections.items():
            relay.configure(section, **values)
        relay.configure()
        return relay.start() if start else relay

    def standby(self, seed, upstream, name, slot=None, start=True, **settings):
        """A standby with the data of seed that follows upstream (a server or a relay)."""
        server = self.add(Postgres(name, self.directory / name, self.bin_dir))
        server.clone(seed)
        server.follow(upstream.conninfo(application_name=name), slot, **settings)
        return server.start() if start else server

    def receivewal(self, upstream, name="receivewal", arguments=(), start=True):
        client = PgReceivewal(name, self.directory / name, self.client_bin,
                              upstream.conninfo(application_name=name), *arguments)
        self.add(client)
        return client.start() if start else client

    def pgbench(self, server, scale=1, init=True, name="pgbench", **options):
        """A running load."""
        if init:
            pgbench_init(server, scale, self.client_bin)
        return self.add(Pgbench(name, self.directory / name, server, client_bin=self.client_bin,
                                **options)).start()

    def close(self):
        """Ends everything; returns what sanitizers found in relays."""
        faults = []
        for process in reversed(self.processes):
            if isinstance(process, Postgres):
                process.disconnect()
            if process.is_running:
                process.thaw()
                if isinstance(process, Relay):
                    process.terminate()
                else:
                    process.kill9()
            if isinstance(process, Relay):
                try:
                    process.check_log()
                except AssertionError as fault:
                    faults.append(str(fault))
        shutil.rmtree(self.directory, ignore_errors=True)
        return faults

    def logs(self, bytes_each=5000):
        for process in self.processes:
            if isinstance(process, Process):
                yield process.name, without_repeats(process.log_text())[-bytes_each:]
