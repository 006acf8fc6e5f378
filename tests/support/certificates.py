"""Certificates of a test's own: authorities, what they issue, and what they take back (openssl ca)."""
import subprocess
from pathlib import Path

CONFIG = """\
[ca]
default_ca = own
[own]
dir = {directory}
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.crt
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = optional
[req]
distinguished_name = name
prompt = no
[name]
commonName = {name}
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
"""


class Authority:
    def __init__(self, directory, name):
        self.directory = Path(directory) / name
        self.directory.mkdir(parents=True)
        self.config = self.directory / "openssl.cnf"
        self.config.write_text(CONFIG.format(directory=self.directory, name=name))
        (self.directory / "index.txt").touch()
        (self.directory / "serial").write_text("1000\n")
        self.certificate = self.directory / "ca.crt"
        self._openssl("req", "-x509", "-config", self.config, "-extensions", "authority", "-days", "30",
                      "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", self.directory / "ca.key", "-out", self.certificate)

    def issue(self, name, common_name=None, alternative_names="", expired=False, algorithm="ec"):
        """Certificate and key in files NAME.crt, NAME.key. alternative_names: as openssl spells them."""
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        kind = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"],
                "ed25519": ["ed25519"]}[algorithm]
        self._openssl("req", "-new", "-config", self.config, "-subj", f"/CN={common_name or name}",
                      "-newkey", *kind, "-nodes", "-keyout", key, "-out", request)
        extensions.write_text(f"subjectAltName = {alternative_names}\n" if alternative_names else "")
        dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if expired else []
        self._openssl("ca", "-config", self.config, "-batch", "-notext", "-in", request, "-out",
                      certificate, "-extfile", extensions, *dates)
        key.chmod(0o600)
        return certificate, key

    def revoke(self, certificate):
        self._openssl("ca", "-config", self.config, "-revoke", certificate)

    def revocations(self):
        """A fresh list of what was revoked."""
        target = self.directory / "ca.crl"
        self._openssl("ca", "-config", self.config, "-gencrl", "-out", target)
        return target

    def serve(self, server, name="server", **options):
        """Gives a relay or a PostgreSQL server a certificate for 127.0.0.1, and this authority for
        its clients; in force with the next start or reload."""
        certificate, key = self.issue(
            name, "127.0.0.1", alternative_names="IP:127.0.0.1,DNS:localhost", **options)
        if hasattr(server, "sections"):
            server.configure("relay", tls_cert=certificate, tls_key=key,
                             tls_client_ca=self.certificate)
        else:
            server.configure(ssl="on", ssl_cert_file=f"'{certificate}'", ssl_key_file=f"'{key}'",
                             ssl_ca_file=f"'{self.certificate}'")
        return certificate, key

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr}"


def client_certificate(issued):
    """libpq's parameters for showing it."""
    return {"sslcert": issued[0], "sslkey": issued[1]}
