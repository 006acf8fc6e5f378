"""A replication connection driven message by message, through libpq."""
import struct
import time

import psycopg
from psycopg import pq

POSTGRES_EPOCH = 946684800


def connect(conninfo, **parameters):
    """A connection for replication commands with results (not for streaming)."""
    return psycopg.connect(conninfo, replication="true", autocommit=True,
                           cursor_factory=psycopg.ClientCursor, client_encoding="UTF8",
                           connect_timeout=10, **parameters)


def command(server, text):
    """The rows one replication command answers; None when it answers none."""
    with connect(server.conninfo()) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else None


class Stream:
    """One START_REPLICATION and what comes of it."""

    def __init__(self, conninfo):
        self.connection = pq.PGconn.connect(f"{conninfo} replication=true connect_timeout=10".encode())
        if self.connection.status != pq.ConnStatus.OK:
            raise ConnectionError(self.connection.error_message.decode())

    def command(self, text):
        """The result of a command; of START_REPLICATION, COPY_BOTH or an error."""
        return self.connection.exec_(text.encode())

    def start(self, lsn, timeline=None, slot=None):
        text = "START_REPLICATION "
        text += f'SLOT "{slot}" ' if slot else ""
        text += f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
        text += f" TIMELINE {timeline}" if timeline else ""
        result = self.command(text)
        if result.status != pq.ExecStatus.COPY_BOTH:
            raise ConnectionError((result.error_message or b"no COPY").decode())
        return self

    def receive(self, deadline=10.0):
        """The next message in the copy: ("w", start, end, bytes) or ("k", end, reply_requested).
        None when nothing came before the deadline, an error when the copy ended."""
        end = time.monotonic() + deadline
        while True:
            length, data = self.connection.get_copy_data(1)
            if length > 0:
                return self.decode(bytes(data))
            if length == -1:
                result = self.connection.get_result()
                message = result.error_message.decode() if result else ""
                raise ConnectionError(message or "the server ended the stream")
            if length == -2:
                raise ConnectionError(self.connection.error_message.decode())
            if time.monotonic() > end:
                return None
            self.wait_readable(0.05)
            self.connection.consume_input()

    def wait_readable(self, seconds):
        import select
        select.select([self.connection.socket], [], [], seconds)

    @staticmethod
    def decode(data):
        kind = chr(data[0])
        if kind == "w":
            start, end, _ = struct.unpack_from("!QQq", data, 1)
            return "w", start, end, data[25:]
        if kind == "k":
            end, _, wanted = struct.unpack_from("!QqB", data, 1)
            return "k", end, bool(wanted)
        raise AssertionError(f"message of kind {kind!r}")

    def reply(self, write, flush=0, apply=0, request=False):
        now = int((time.time() - POSTGRES_EPOCH) * 1e6)
        self.connection.put_copy_data(
            b"r" + struct.pack("!QQQqB", write, flush, apply, now, int(request)))
        self.connection.flush()

    def feedback(self, xmin, epoch, catalog_xmin=0, catalog_epoch=0):
        now = int((time.time() - POSTGRES_EPOCH) * 1e6)
        self.connection.put_copy_data(
            b"h" + struct.pack("!qIIII", now, xmin, epoch, catalog_xmin, catalog_epoch))
        self.connection.flush()

    def receive_wal(self, start, end, deadline=30.0):
        """The bytes from start to at least end, checked to come without a gap."""
        held, position = bytearray(), start
        limit = time.monotonic() + deadline
        while position < end:
            assert time.monotonic() < limit, f"only {position - start} bytes in {deadline} s"
            message = self.receive(1.0)
            if message and message[0] == "w":
                assert message[1] == position, f"got {message[1]:X}, expected {position:X}"
                held += message[3]
                position += len(message[3])
            elif message and message[2]:
                self.reply(position)
        return bytes(held)

    def close(self):
        self.connection.finish()
