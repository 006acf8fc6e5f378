"""A man in the middle: ends the TLS of clients with a certificate of his own, and begins one to the
server. He may take SCRAM-SHA-256-PLUS out of what the server offers."""
import contextlib
import select
import socket
import ssl
import struct
import threading

SSL_REQUEST = struct.pack("!II", 8, 80877103)
PLUS = b"SCRAM-SHA-256-PLUS\0"


class TlsProxy:
    """Listens on `port` until closed; one thread a connection."""

    def __init__(self, target_port, certificate, strips_plus=False):
        self.target_port, self.strips_plus = target_port, strips_plus
        self.inside = 0  # connections that got as far as TLS on both sides
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), client:
            if client.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                return
            client.sendall(b"S")
            with self.context.wrap_socket(client, server_side=True) as secured, \
                    self._server() as server:
                self.inside += 1
                self._pass(secured, server)

    def _server(self):
        plain = socket.create_connection(("127.0.0.1", self.target_port))
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain)

    def _pass(self, client, server):
        """One thread for both directions: a TLS connection is not for two."""
        other = {client: server, server: client}
        while True:
            ready = [one for one in other if one.pending()]
            for source in ready or select.select(list(other), [], [], 30)[0]:
                chunk = source.recv(16384)
                if not chunk:
                    return
                other[source].sendall(self._change(chunk) if source is server else chunk)

    def _change(self, chunk):
        """AuthenticationSASL comes in a record of its own, or first in one."""
        at = chunk.find(PLUS)
        if not self.strips_plus or at < 0:
            return chunk
        start = chunk.rindex(b"R", 0, at)
        length = struct.unpack_from("!I", chunk, start + 1)[0]
        return (chunk[:start + 1] + struct.pack("!I", length - len(PLUS)) +
                chunk[start + 5:].replace(PLUS, b"", 1))

    def close(self):
        self.listener.close()
