"""pg_receivewal, kept running."""
from support.process import Process


class PgReceivewal(Process):
    def __init__(self, name, directory, bin_dir, conninfo, *arguments):
        super().__init__(name, directory)
        self.wal = self.directory / "wal"
        self.wal.mkdir()
        self.command = [bin_dir / "pg_receivewal", "-D", self.wal, "-d", conninfo, "--no-sync",
                        "-s", "1", "-v", *arguments]

    def start(self):
        self.spawn(self.command)
        return self
