"""The frontend's bytes by hand: for what libpq would never send, or hides."""
import socket
import struct


class RawClient:
    def __init__(self, port, prefix=b"", host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=10)
        if prefix:
            self.socket.sendall(prefix)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def message(self, kind, body=b""):
        self.send(kind.encode() + struct.pack("!I", len(body) + 4) + body)

    def startup(self, version=196608, **parameters):
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items()) + b"\0"
        self.send(struct.pack("!II", len(body) + 8, version) + body)

    def request(self, code):
        """SSLRequest, GSSENCRequest: the byte that answers."""
        self.send(struct.pack("!II", 8, code))
        return self.socket.recv(1)

    def receive_exactly(self, count):
        held = b""
        while len(held) < count:
            more = self.socket.recv(count - len(held))
            if not more:
                raise EOFError(f"closed after {held!r}")
            held += more
        return held

    def receive(self):
        """The next backend message: (kind, body)."""
        kind, length = struct.unpack("!cI", self.receive_exactly(5))
        return kind.decode(), self.receive_exactly(length - 4)

    def receive_until(self, kind):
        while True:
            got, body = self.receive()
            if got == kind:
                return body

    def fatal(self):
        """The fields of the next error."""
        body = self.receive_until("E")
        return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}

    def wrong_scram(self):
        """A whole SCRAM exchange with a proof that cannot be right."""
        assert self.receive()[1].startswith(struct.pack("!I", 10) + b"SCRAM-SHA-256\0")
        first = b"n,,n=,r=abcdefghijklmnop"
        self.message("p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
        nonce = self.receive()[1][4:].split(b",")[0]
        self.message("p", b"c=biws," + nonce + b",p=" + b"A" * 43 + b"=")

    def is_closed(self, seconds=10):
        """True once the server has closed; what it says before is thrown away."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False
