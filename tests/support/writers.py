"""Clients that commit one row after the other, find the primary by themselves, and remember which
commits were acknowledged, by whom and when."""
import contextlib
import threading
import time
from collections import namedtuple

import psycopg

from support.postgres import quote_conninfo

TABLE = "acknowledged"

# at: time.monotonic(); port: of the server that said so.
Commit = namedtuple("Commit", "client number at port")


def hosts(servers, **parameters):
    """A conninfo that names all of them, for who wants to write."""
    return quote_conninfo({"host": ",".join("127.0.0.1" for _ in servers),
                           "port": ",".join(str(server.port) for server in servers),
                           "user": "postgres", "target_session_attrs": "read-write", **parameters})


class Writers:
    """Several of them. A commit whose answer was lost, or came with a notice (such as that its
    synchronous standby was not waited for), is not taken for acknowledged."""

    def __init__(self, servers, clients=3):
        self.conninfo = hosts(servers, dbname="postgres", connect_timeout=5)
        self.commits = []
        self.numbers = [0] * clients
        self.stopping = threading.Event()
        self.threads = []

    def start(self):
        self.stopping.clear()
        self.threads = [threading.Thread(target=self.run, args=(client,), daemon=True)
                        for client in range(len(self.numbers))]
        for thread in self.threads:
            thread.start()
        return self

    def run(self, client):
        while not self.stopping.is_set():
            with contextlib.suppress(psycopg.Error):
                with psycopg.connect(self.conninfo, autocommit=True) as connection:
                    self.write(client, connection)
            self.stopping.wait(0.02)

    def write(self, client, connection):
        notices = []
        connection.add_notice_handler(notices.append)
        while not self.stopping.is_set():
            number = self.numbers[client]
            self.numbers[client] += 1
            connection.execute(f"INSERT INTO {TABLE} VALUES (%s, %s)", (client, number))
            if not notices:
                self.commits.append(Commit(client, number, time.monotonic(), connection.info.port))
            notices.clear()

    def stop(self, deadline=60):
        self.stopping.set()
        for thread in self.threads:
            thread.join(deadline)
            assert not thread.is_alive(), "a commit is still waiting"

    def first_after(self, instant, server):
        """The first commit that this server acknowledged after it; None: none yet."""
        return next((commit for commit in list(self.commits)
                     if commit.port == server.port and commit.at > instant), None)

    def missing_on(self, server):
        """What was acknowledged and is not there."""
        there = set(server.execute(f"SELECT client, number FROM {TABLE}"))
        return [commit for commit in self.commits if commit[:2] not in there]
