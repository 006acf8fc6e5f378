"""A TCP proxy between two processes of a test: it can cut connections, freeze them, and flip bits on
the way."""
import random
import socket
import threading

from support.ports import free_port


def longest_message(chunk):
    """Where the longest CopyData of those in the chunk has its payload; all of a chunk that begins
    within one."""
    longest, at = (0, 0), 0
    while at + 5 <= len(chunk) and chunk[at] == ord("d"):
        end = at + 1 + int.from_bytes(chunk[at + 1:at + 5], "big")
        longest = max(longest, (at + 5, min(end, len(chunk))), key=lambda one: one[1] - one[0])
        at = end
    return longest if longest[1] - longest[0] > 1 else (0, len(chunk))


class TcpProxy:
    """Listens on `port` and passes bytes to target_port until closed."""

    def __init__(self, target_port):
        self.port = free_port()
        self.target_port = target_port
        self.left = None  # bytes that still pass from the target; None: no bounds
        self.flips = 0  # still to be done, in what the target sends
        self.flipped = 0
        self.random = random.Random(5)
        self.lock = threading.Lock()
        self.connections = []  # two sockets, and an event: cleared, nothing passes
        self.frozen = []
        self.last = 0
        self.is_closed = False
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.is_closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            flowing = threading.Event()
            flowing.set()
            with self.lock:
                self.connections.append((client, server, flowing))
            for pair in ((client, server, flowing, False), (server, client, flowing, True)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, sink, flowing, may_flip):
        try:
            while chunk := source.recv(65536):
                flowing.wait()
                if may_flip and not self._may_pass(len(chunk)):
                    sink.sendall(chunk[:self.last])
                    flowing.clear()
                    flowing.wait()
                    break
                sink.sendall(self._maybe_flip(chunk) if may_flip else chunk)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _may_pass(self, length):
        """False: only self.last bytes more, and then nothing."""
        with self.lock:
            if self.left is None or length < self.left:
                self.left = self.left and self.left - length
                return True
            self.last, self.left = self.left, 0
            return False

    def stop_after(self, count):
        """So many bytes more from the target, and then nothing, and nobody is told."""
        with self.lock:
            self.left = count

    def _maybe_flip(self, chunk):
        """In the second half of the longest message there: no keepalive, and its length stays what it is."""
        with self.lock:
            if self.flips == 0 or len(chunk) < 300:
                return chunk
            self.flips -= 1
            self.flipped += 1
            damaged = bytearray(chunk)
            start, end = longest_message(chunk)
            at = self.random.randrange((start + end) // 2, end)
            damaged[at] ^= 1 << self.random.randrange(8)
            return bytes(damaged)

    def flip(self, count):
        with self.lock:
            self.flips += count

    def cut(self):
        """Ends every connection at once; new ones are passed on."""
        with self.lock:
            gone, self.connections = self.connections, []
        for connection in gone:
            self._end(connection)

    @staticmethod
    def _end(connection):
        connection[2].set()
        for one in connection[:2]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self):
        """Connections made and neither cut nor frozen."""
        with self.lock:
            return len(self.connections)

    def cut_newest(self):
        """Ends the connection that was made last, of those there were."""
        self.cut_one(-1)

    def cut_one(self, number):
        """The number-th, in the order they were made."""
        with self.lock:
            gone = self.connections.pop(number)
        self._end(gone)

    def freeze_newest(self):
        """Nothing passes any more over the connection that was made last, and nobody is told."""
        self.freeze_one(-1)

    def freeze_one(self, number):
        with self.lock:
            self.frozen.append(self.connections.pop(number))
            self.frozen[-1][2].clear()

    def thaw(self):
        """What was frozen goes on with what it held."""
        with self.lock:
            self.connections += self.frozen
            for connection in self.frozen:
                connection[2].set()
            self.frozen = []

    def conninfo(self, **parameters):
        words = {"host": "127.0.0.1", "port": self.port, "user": "replicator", **parameters}
        return " ".join(f"{key}={value}" for key, value in words.items())

    def close(self):
        self.is_closed = True
        for connection in self.frozen:
            self._end(connection)
        self.listener.close()
        self.cut()
