"""What `walrelay pin snapshot` speaks to: EC2's and STS's Query APIs and an instance's metadata service,
on loopback. Whether a request is signed as it must be is judged by botocore, which the tools of AWS are
made of; answers are worded as their API references have them."""
import copy
import http.server
import json
import re
import secrets
import ssl
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from support.ports import free_port

AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9]+)/aws4_request, "
                           r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})")
EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
NOT_VALID = ("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'


class Refused(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(code)
        self.code, self.message, self.status = code, message, status


def signing_fault(method, path, headers, body, keys, service, region):
    """Why a request is not one of these keys' (access key, secret, token or None); None: it is."""
    found = AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if not found:
        return "no Authorization of Signature Version 4"
    access_key, day, scope_region, scope_service, names, signature = found.groups()
    names = names.split(";")
    at = headers.get("X-Amz-Date", "")
    required = {"host", "x-amz-date"} | ({"x-amz-security-token"} if keys[2] else set())
    if access_key != keys[0] or (scope_service, scope_region) != (service, region):
        return f"of {access_key} for {scope_service} in {scope_region}"
    if not required <= set(names) or names != sorted(names):
        return f"signed headers are {names}"
    if headers.get("X-Amz-Security-Token") != keys[2]:
        return "another session token"
    if not at.startswith(day) or abs(time.time() - time_of(at)) > 300:
        return f"signed at {at}"
    request = botocore.awsrequest.AWSRequest(
        method, f"http://{headers['Host']}{path}", data=body,
        headers={name: headers[name] for name in names})
    request.context["timestamp"] = at
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(*keys), service, region)
    expected = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request)
    return None if expected == signature else "the signature does not match"


def time_of(text):
    import calendar
    try:
        return calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return 0


class Ec2:
    """keys: those it takes. on_snapshot(volume) is called when a snapshot is taken, and its data are
    what that returns. faults: what the next requests of an action get instead of an answer, each one of
    "throttle", "error" (500), "cut" (no answer, nothing done), "cut after" (done, no answer), "garbage",
    "slow", or (code, message, status). certificate: (file, key) of a server with TLS."""

    def __init__(self, region="us-east-1", account="111122223333", on_snapshot=None, certificate=None):
        self.port = free_port()
        self.certificate = certificate
        self.region, self.account = region, account
        self.keys = ("AKIDTEST", "secret/of+tests=:", None)
        self.volumes = {"vol-0123456789abcdef0"}
        self.on_snapshot = on_snapshot or (lambda volume: None)
        self.snapshots = {}
        self.data = {}
        self.faults = {}
        self.first_state = "completed"
        self.requests = []
        self.unsigned = []
        self.metadata = []
        self.role = None
        self.metadata_token = secrets.token_hex(16)
        self.lock = threading.Lock()
        self.server = None

    def start(self):
        ec2 = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                ec2.answer(self)

            def do_GET(self):
                ec2.answer_metadata(self)

            do_PUT = do_GET

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Answer)
        if self.certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def count(self, action):
        return [parameters["Action"] for parameters in self.requests].count(action)

    # --- requests ---

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        parameters = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True,
                                                 keep_blank_values=True))
        action = parameters["Action"]
        is_sts = action == "GetCallerIdentity"
        with self.lock:
            self.requests.append(parameters)
            fault = self.faults[action].pop(0) if self.faults.get(action) else None
            try:
                why = signing_fault(handler.command, handler.path, handler.headers, body, self.keys,
                                    "sts" if is_sts else "ec2", self.region)
                if why:
                    self.unsigned.append(why)
                    raise Refused(*NOT_VALID)
                self.fail(fault)
                status, text = 200, getattr(self, "do_" + action)(parameters)
            except Refused as refusal:
                status, text = refusal.status, fault_text(refusal, is_sts)
        if fault == "slow":
            time.sleep(2)
        if fault in ("cut", "cut after"):
            handler.close_connection = True
            return
        send(handler, status, HEADER + text if fault != "garbage" else "<html><p>no</html>", "text/xml")

    def fail(self, fault):
        if fault == "throttle":
            raise Refused("RequestLimitExceeded", "Request limit exceeded.", 503)
        if fault in ("error", "cut"):
            raise Refused("InternalError", "An internal error has occurred", 500)
        if isinstance(fault, tuple):
            raise Refused(*fault)

    def do_CreateSnapshot(self, parameters):
        volume = parameters["VolumeId"]
        if volume not in self.volumes:
            raise Refused("InvalidVolume.NotFound", f"The volume '{volume}' does not exist.")
        assert parameters["Version"] == "2016-11-15"
        identifier = "snap-0" + secrets.token_hex(8)
        self.data[identifier] = self.on_snapshot(volume)
        self.snapshots[identifier] = {
            "snapshotId": identifier, "volumeId": volume, "status": self.first_state,
            "startTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "progress": "100%" if self.first_state == "completed" else "0%",
            "ownerId": self.account, "volumeSize": "8",
            "description": parameters.get("Description", ""), "tags": tags_of(parameters)}
        return element("CreateSnapshotResponse", snapshot_text(self.snapshots[identifier]))

    def do_DescribeSnapshots(self, parameters):
        """Filters give a page a snapshot, and an empty one before them all, as EC2 may."""
        if "SnapshotId.1" in parameters:
            identifier = parameters["SnapshotId.1"]
            if identifier not in self.snapshots:
                raise Refused("InvalidSnapshot.NotFound", f"The snapshot '{identifier}' does not exist.")
            found, token = [self.snapshots[identifier]], None
        else:
            all_found = [one for one in self.snapshots.values() if matches(one, parameters)]
            page = int(parameters.get("NextToken", "page+/=0")[len("page+/="):])
            found = all_found[page - 1:page] if page else []
            token = f"page+/={page + 1}" if page < len(all_found) else None
        items = "".join(f"<item>{snapshot_text(one)}</item>" for one in found)
        return element("DescribeSnapshotsResponse", f"<snapshotSet>{items}</snapshotSet>"
                       + (f"<nextToken>{token}</nextToken>" if token else ""))

    def do_GetCallerIdentity(self, _parameters):
        return (f'<GetCallerIdentityResponse xmlns="{STS_NAMESPACE}"><GetCallerIdentityResult>'
                f"<Arn>arn:aws:iam::{self.account}:user/tests</Arn><UserId>AIDATEST</UserId><Account>"
                f"{self.account}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>x"
                "</RequestId></ResponseMetadata></GetCallerIdentityResponse>")

    # --- the metadata service, version 2 alone ---

    def answer_metadata(self, handler):
        self.metadata.append(f"{handler.command} {handler.path}")
        roles = "/latest/meta-data/iam/security-credentials/"
        has_token = handler.headers.get("X-aws-ec2-metadata-token") == self.metadata_token
        if (handler.command, handler.path) == ("PUT", "/latest/api/token"):
            lives = handler.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0")
            ok = 1 <= int(lives) <= 21600 and "X-Forwarded-For" not in handler.headers
            send(handler, 200 if ok else 400, self.metadata_token if ok else "", "text/plain")
        elif not has_token:
            send(handler, 401, "", "text/plain")
        elif self.role and handler.path == roles:
            send(handler, 200, self.role, "text/plain")
        elif self.role and handler.path == roles + self.role:
            send(handler, 200, json.dumps(
                {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": self.keys[0],
                 "SecretAccessKey": self.keys[1], "Token": self.keys[2],
                 "Expiration": "2099-01-01T00:00:00Z"}), "application/json")
        else:
            send(handler, 404, "", "text/plain")

    # --- what tests do to it ---

    def only_snapshot(self):
        snapshot, = self.snapshots.values()
        return copy.deepcopy(snapshot)

    def environment(self, base):
        """For a command that is to find this server, and nothing of this machine's."""
        kept = {key: value for key, value in base.items()
                if not key.startswith("AWS_") and not key.lower().endswith("_proxy")}
        token = {"AWS_SESSION_TOKEN": self.keys[2]} if self.keys[2] else {}
        return {**kept, **token, "AWS_ACCESS_KEY_ID": self.keys[0], "HOME": "/nonexistent",
                "AWS_SECRET_ACCESS_KEY": self.keys[1], "AWS_ENDPOINT_URL": self.url,
                "AWS_EC2_METADATA_DISABLED": "true"}


def send(handler, status, text, kind):
    body = text.encode()
    handler.send_response(status)
    handler.send_header("Content-Type", f"{kind};charset=UTF-8")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def fault_text(refusal, is_sts):
    error = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    if is_sts:
        return (f'<ErrorResponse xmlns="{STS_NAMESPACE}"><Error><Type>Sender</Type>{error}</Error>'
                "<RequestId>x</RequestId></ErrorResponse>")
    return f"<Response><Errors><Error>{error}</Error></Errors><RequestID>x</RequestID></Response>"


def element(name, inner):
    return f'<{name} xmlns="{EC2_NAMESPACE}"><requestId>x</requestId>{inner}</{name}>'


def snapshot_text(snapshot):
    fields = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in snapshot.items()
                     if name != "tags")
    tags = "".join(f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>"
                   for key, value in snapshot["tags"].items())
    return f"{fields}<tagSet>{tags}</tagSet>"


def tags_of(parameters):
    start = "TagSpecification.1."
    if start + "ResourceType" not in parameters:
        return {}
    assert parameters[start + "ResourceType"] == "snapshot"
    numbers = [key[len(start + "Tag."):-len(".Key")] for key in parameters
               if key.startswith(start + "Tag.") and key.endswith(".Key")]
    return {parameters[f"{start}Tag.{number}.Key"]: parameters[f"{start}Tag.{number}.Value"]
            for number in numbers}


def matches(snapshot, parameters):
    if "Filter.1.Name" not in parameters:
        return True
    name = parameters["Filter.1.Name"]
    assert name.startswith("tag:")
    return snapshot["tags"].get(name[len("tag:"):]) == parameters["Filter.1.Value.1"]
