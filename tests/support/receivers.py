"""Who takes a relay's alerts: a real SMTP server (aiosmtpd) and a real HTTP server, each stopped and
started again on its port."""
import email
import email.policy
import http.server
import json
import ssl
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from support.ports import free_port


class Mailbox:
    """tls: None, "starttls" (required) or "implicit"; certificate: (file, key) of the server; login:
    (user, password) that it requires."""

    def __init__(self, tls=None, certificate=None, login=None):
        self.port = free_port()
        self.tls = tls
        self.login = login
        self.context = None
        if certificate:
            self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.context.load_cert_chain(*certificate)
        self.envelopes = []
        self.logins = []
        self.controller = None

    async def handle_DATA(self, _server, session, envelope):
        self.envelopes.append((session.ssl is not None or self.tls == "implicit", envelope))
        return "250 taken"

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given)
        return AuthResult(success=given == self.login, handled=False)

    def start(self):
        options = {}
        if self.tls == "starttls":
            options |= {"tls_context": self.context, "require_starttls": True}
        if self.login:
            options |= {"authenticator": self.authenticate, "auth_required": True,
                        "auth_require_tls": self.tls == "starttls"}
        mailbox = self

        class Server(Controller):
            def factory(self):
                return SMTP(mailbox, **options)
        self.controller = Server(self, hostname="127.0.0.1", port=self.port,
                                 ssl_context=self.context if self.tls == "implicit" else None)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop()
            self.controller = None

    @property
    def url(self):
        return f"{'smtps' if self.tls == 'implicit' else 'smtp'}://127.0.0.1:{self.port}"

    @property
    def mails(self):
        return [email.message_from_bytes(envelope.content, policy=email.policy.default)
                for _, envelope in self.envelopes]

    def subjects(self):
        return [mail["Subject"] for mail in self.mails]


class Hook:
    """Takes JSON; status: what it answers with (anything but 200 and it has taken nothing)."""

    def __init__(self):
        self.port = free_port()
        self.status = 200
        self.taken = []
        self.refused = 0
        self.authorizations = []
        self.server = None

    def start(self):
        hook = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hook.status == 200:
                    hook.authorizations.append(self.headers["Authorization"])
                    hook.taken.append(body)
                else:
                    hook.refused += 1
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook/topsecret"

    def told(self, alert=None):
        """(alert, event) of what it has taken."""
        return [(one["alert"], one["event"]) for one in self.taken
                if alert is None or one["alert"] == alert]
