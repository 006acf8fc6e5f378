"""walrelay pin snapshot: a snapshot by EC2's API and a pin of what it will need, and pins that go with
their snapshots. EC2 is played by support/ec2.py; that this speaks as EC2 does is shown by AWS's own
command."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest

pytest.importorskip("botocore")

from support.certificates import Authority  # noqa: E402
from support.ec2 import Ec2  # noqa: E402
from support.load import assert_same_rows  # noqa: E402
from support.pins import console_relay, write  # noqa: E402
from support.relay import binary  # noqa: E402
from support.wait import wait_until  # noqa: E402
from support.wal import parse_lsn  # noqa: E402

VOLUME = "vol-0123456789abcdef0"
SECRET = "secret/of+tests=:"


@pytest.fixture
def ec2():
    made = Ec2().start()
    yield made
    made.stop()


def pin(relay, ec2, *arguments, deadline=120, **environment):
    variables = {**ec2.environment(os.environ), **environment}
    done = subprocess.run(
        [binary(), "pin", *map(str, arguments), "-d", relay.conninfo()], text=True,
        env={key: value for key, value in variables.items() if value is not None},
        capture_output=True, timeout=deadline, check=False, stdin=subprocess.DEVNULL)
    assert SECRET not in done.stdout + done.stderr
    assert "Sanitizer" not in done.stderr, done.stderr
    return done


def snapshot(relay, ec2, *arguments, **environment):
    return pin(relay, ec2, "snapshot", "--volume", VOLUME, "--region", ec2.region, *arguments,
               **environment)


def pins(relay):
    return {one["name"]: one for one in relay.status()["pins"]}


def only_pin(relay):
    one, = pins(relay).values()
    return one


def make_old(relay, *names):
    """Pins as if they had been made an hour ago, in the relay's own state."""
    import sqlite3
    relay.stop()
    with sqlite3.connect(relay.data_dir / "state.db") as state:
        for name in names:
            changed = state.execute("UPDATE pins SET created_us = created_us - 3600000000"
                                    " WHERE name = ?", [name])
            assert changed.rowcount == 1
    state.close()
    relay.start()


def test_snapshot_to_following_standby_and_its_pin_goes_with_it(site, ec2):
    """The volume is the data directory of a standby that is stopped, and is copied as it is."""
    primary = site.primary(wal_segsize=1)
    relay = console_relay(site, primary, retain_size="64MB")
    donor = site.standby(primary, relay, "donor")
    write(primary, "a")
    donor.catch_up(primary)
    donor.stop()
    disk = site.directory / "disk"
    ec2.on_snapshot = lambda volume: shutil.copytree(donor.data, disk)
    done = snapshot(relay, ec2, "--pgdata", donor.data, "--for", "3d")
    assert (done.returncode, done.stderr) == (0, "")
    held, taken = only_pin(relay), ec2.only_snapshot()
    redo = parse_lsn(held["lsn"])
    assert held["name"] == f"{taken['snapshotId']}.us-east-1.111122223333"
    assert taken["snapshotId"] in done.stdout and held["lsn"] in done.stdout
    identifier = str(primary.value("SELECT system_identifier::text FROM pg_control_system()"))
    tags = taken["tags"]
    assert re.fullmatch(rf"us-east-1\.{VOLUME}\.\d{{8}}T\d{{6}}Z", tags.pop("walrelay:pin"))
    assert tags == {"walrelay:lsn": held["lsn"], "walrelay:timeline": "1",
                    "walrelay:system-identifier": identifier}
    assert ec2.unsigned == [] and ec2.count("CreateSnapshot") == 1

    relay.configure("spool", retain_size="1MB")
    relay.reload()
    for table in "bcdefg":
        end = write(primary, table)
    relay.wait_flushed(end)
    wait_until(lambda: relay.status()["spool"]["horizon_reason"] == f'pin "{held["name"]}"', 60)
    assert int(relay.metric("spool_oldest_lsn_bytes")) <= redo
    standby = site.standby(primary, relay, "standby", start=False)
    shutil.rmtree(standby.data)
    shutil.copytree(disk, standby.data)
    standby.configure()
    standby.follow(relay.conninfo(application_name="standby"))
    began = time.monotonic()
    standby.start()
    standby.catch_up(primary)
    print(f"from the start of the copy to its having caught up: {time.monotonic() - began:.1f} s")
    assert_same_rows(primary, standby, ["a", "g"])
    standby.stop()

    done = pin(relay, ec2, "prune")
    assert (done.returncode, done.stdout) == (0, "pins of snapshots: 0 dropped, 1 kept\n")
    del ec2.snapshots[taken["snapshotId"]]
    assert pin(relay, ec2, "prune").returncode == 0 and pins(relay), "it is too young to be given up"
    make_old(relay, held["name"])
    done = pin(relay, ec2, "prune")
    assert done.returncode == 0 and pins(relay) == {}
    assert done.stdout == (f"snapshot {taken['snapshotId']} is deleted: pin \"{held['name']}\" is "
                           "dropped\npins of snapshots: 1 dropped, 0 kept\n")
    relay.wait_flushed(write(primary, "h"))
    wait_until(lambda: int(relay.metric("spool_oldest_lsn_bytes")) > redo, 60, "the WAL to go")


def test_the_pin_is_there_before_the_snapshot_and_at_the_standbys_place(site, ec2):
    """Without --pgdata: not after where any standby is."""
    primary = site.primary(wal_segsize=1)
    relay = console_relay(site, primary, retain_size="64MB")
    standby = site.standby(primary, relay, "standby")
    write(primary, "a")
    standby.catch_up(primary)
    standby.freeze()
    relay.wait_flushed(write(primary, "b"))
    primary.execute("CHECKPOINT")
    relay.wait_flushed(write(primary, "c"))
    seen = []
    ec2.on_snapshot = lambda volume: seen.append(only_pin(relay))
    done = snapshot(relay, ec2)
    standby.thaw()
    assert (done.returncode, done.stderr) == (0, "")
    first, = seen
    assert first["name"] == ec2.only_snapshot()["tags"]["walrelay:pin"]
    assert only_pin(relay)["lsn"] == first["lsn"]
    at = parse_lsn(first["lsn"])
    state, = [one for one in relay.status()["standbys"] if one["application_name"] == "standby"]
    assert at <= parse_lsn(state["flush_lsn"]) and at < primary.flush_lsn() - (1 << 20)


@pytest.mark.parametrize("faults, asked", [
    (["throttle", "throttle"], 3), (["error"], 2), (["cut"], 2), (["slow"], 1),
    (["cut after"], 1), (["garbage"], 1),
    ([("SnapshotCreationPerVolumeRateExceeded", "The maximum per volume rate", 400)], 2)])
def test_what_passes_is_tried_again_and_no_snapshot_is_made_twice(site, ec2, faults, asked):
    primary = site.primary()
    relay = console_relay(site, primary)
    ec2.faults["CreateSnapshot"] = faults
    done = snapshot(relay, ec2)
    assert (done.returncode, done.stderr) == (0, "")
    assert ec2.count("CreateSnapshot") == asked
    assert only_pin(relay)["name"].startswith(ec2.only_snapshot()["snapshotId"])


def test_what_ec2_refuses_leaves_no_pin(site, ec2):
    primary = site.primary()
    relay = console_relay(site, primary)
    for fault, said, hint in [
            (("UnauthorizedOperation", "You are not authorized", 403),
             "UnauthorizedOperation: You are not authorized", "ec2:CreateTags"),
            (("SnapshotLimitExceeded", "The maximum number", 400), "SnapshotLimitExceeded", "quota")]:
        ec2.faults["CreateSnapshot"] = [fault]
        done = snapshot(relay, ec2)
        assert done.returncode == 1 and said in done.stderr and hint in done.stderr, done.stderr
        assert pins(relay) == {} and ec2.snapshots == {}
    done = pin(relay, ec2, "snapshot", "--volume", "vol-0f", "--region", "us-east-1")
    assert done.returncode == 1 and "InvalidVolume.NotFound: The volume 'vol-0f'" in done.stderr
    done = snapshot(relay, ec2, AWS_SECRET_ACCESS_KEY="another")
    assert done.returncode == 1 and "AuthFailure" in done.stderr and "access key" in done.stderr
    assert ec2.unsigned == ["the signature does not match"]
    ec2.faults["CreateSnapshot"] = ["throttle"] * 2
    done = snapshot(relay, ec2, AWS_MAX_ATTEMPTS="2")
    assert done.returncode == 1 and "RequestLimitExceeded" in done.stderr
    done = snapshot(relay, ec2, "--endpoint-url", f"https://127.0.0.1:{ec2.port}", AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 2 and "SSL" in done.stderr
    assert pins(relay) == {} and ec2.snapshots == {}


def test_a_snapshot_that_may_exist_keeps_its_pin_and_gets_it_later(site, ec2):
    primary = site.primary()
    relay = console_relay(site, primary)
    ec2.faults["CreateSnapshot"] = ["cut after"]
    ec2.faults["DescribeSnapshots"] = ["error"]
    done = snapshot(relay, ec2, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 2 and "whether there is a snapshot is not known" in done.stderr
    first = only_pin(relay)
    assert first["name"] in done.stderr
    assert pin(relay, ec2, "prune").returncode == 0 and list(pins(relay)) == [first["name"]]
    make_old(relay, first["name"])
    done = pin(relay, ec2, "prune")
    name = f"{ec2.only_snapshot()['snapshotId']}.us-east-1.111122223333"
    assert done.returncode == 0 and f'pin "{first["name"]}" is now "{name}"' in done.stdout
    assert list(pins(relay)) == [name] and only_pin(relay)["lsn"] == first["lsn"]


def test_only_who_owns_a_snapshot_can_say_that_it_is_gone(site, ec2):
    primary = site.primary()
    relay = console_relay(site, primary)
    assert snapshot(relay, ec2).returncode == 0
    name = only_pin(relay)["name"]
    make_old(relay, name)
    kept, ec2.snapshots = ec2.snapshots, {}
    ec2.account = "444455556666"
    done = pin(relay, ec2, "prune")
    assert done.returncode == 2 and "is of account 111122223333, not asked as 444455556666" in done.stderr
    ec2.account = "111122223333"
    for action, fault in [("DescribeSnapshots", "error"), ("DescribeSnapshots", "garbage"),
                          ("GetCallerIdentity", ("AccessDenied", "no", 403)),
                          ("DescribeSnapshots", ("UnauthorizedOperation", "no", 403))]:
        ec2.faults[action] = [fault]
        done = pin(relay, ec2, "prune", AWS_MAX_ATTEMPTS="1")
        assert done.returncode == 2 and name in done.stderr, (action, fault)
        assert list(pins(relay)) == [name]
    assert pin(relay, ec2, "prune", "--region", "eu-west-1").returncode == 0
    assert list(pins(relay)) == [name]
    ec2.snapshots = kept
    ec2.snapshots[name.split(".", maxsplit=1)[0]]["status"] = "error"
    done = pin(relay, ec2, "prune")
    assert done.returncode == 0 and "has failed" in done.stdout and pins(relay) == {}


def test_it_waits_for_a_snapshot_to_be_completed(site, ec2):
    primary = site.primary()
    relay = console_relay(site, primary)
    for end, code in [("completed", 0), ("error", 1)]:
        ec2.first_state = "pending"
        ec2.on_snapshot = lambda volume: ec2.snapshots.clear()
        process = subprocess.Popen(
            [binary(), "pin", "snapshot", "--volume", VOLUME, "--region", "us-east-1", "--wait", "-d",
             relay.conninfo()], env=ec2.environment(os.environ), stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL)
        before = ec2.count("DescribeSnapshots")
        wait_until(lambda: ec2.count("DescribeSnapshots") > before, 60)
        assert process.poll() is None
        for one in ec2.snapshots.values():
            one["status"] = end
        said = process.communicate(timeout=60)[1]
        assert process.returncode == code, said
        assert ("has failed, its pin is dropped" in said) == (end == "error")
        assert len(pins(relay)) == 1, "of the one that was completed"


def test_keys_are_found_where_awss_tools_find_them(site, ec2):
    primary = site.primary()
    relay = console_relay(site, primary)
    nothing = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None}
    ec2.keys = ("ASIATEST", SECRET, "token/+==" * 100)
    assert snapshot(relay, ec2).returncode == 0, "from the environment, with a token"

    home = site.directory / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n[dr]\n"
        f"aws_access_key_id = {ec2.keys[0]}\naws_secret_access_key = {SECRET}\n"
        f"aws_session_token = {ec2.keys[2]}\n", encoding="utf-8")
    assert pin(relay, ec2, "prune", "--profile", "dr", **nothing, HOME=home).returncode == 0
    assert pin(relay, ec2, "prune", **nothing, HOME=home, AWS_PROFILE="dr").returncode == 0
    assert ec2.unsigned == []
    assert pin(relay, ec2, "prune", **nothing, HOME=home).returncode == 2
    assert ec2.unsigned != []

    ec2.unsigned.clear()
    service = {**nothing, "AWS_EC2_METADATA_DISABLED": None,
               "AWS_EC2_METADATA_SERVICE_ENDPOINT": ec2.url}
    done = pin(relay, ec2, "prune", **service)
    assert done.returncode == 2 and "no credentials for AWS are found" in done.stderr
    ec2.role, ec2.metadata = "relay-role", []
    assert pin(relay, ec2, "prune", **service).returncode == 0
    assert ec2.metadata == ["PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/",
                            "GET /latest/meta-data/iam/security-credentials/relay-role"]
    assert ec2.unsigned == []


def test_nothing_goes_to_a_server_that_is_not_the_one_it_says(site):
    primary = site.primary()
    relay = console_relay(site, primary)
    authority, other = (Authority(site.directory, name) for name in ("authority", "other"))
    server = Ec2(certificate=authority.issue(
        "ec2", "127.0.0.1", alternative_names="IP:127.0.0.1")).start()
    try:
        done = snapshot(relay, server, AWS_CA_BUNDLE=other.certificate)
        assert done.returncode == 2 and "certificate" in done.stderr
        assert server.requests == [] and pins(relay) == {}
        done = snapshot(relay, server, AWS_CA_BUNDLE=authority.certificate)
        assert (done.returncode, done.stderr) == (0, "")
        assert only_pin(relay)["name"].startswith(server.only_snapshot()["snapshotId"])
    finally:
        server.stop()
    done = snapshot(relay, server, AWS_CA_BUNDLE=authority.certificate)
    assert done.returncode == 2 and "connect" in done.stderr and len(pins(relay)) == 1


def test_wrong_use_is_told_and_nothing_is_asked(site, ec2):
    primary = site.primary()
    other = site.primary("other", fresh=True)
    relay = console_relay(site, primary)
    for arguments, said in [
            (["snapshot"], "--volume"), (["snapshot", "--volume", "vol-x", "--region", "r"], "--volume"),
            (["snapshot", "--volume", VOLUME], "--region"),
            (["snapshot", "--volume", VOLUME, "--region", "a/b"], "--region"),
            (["snapshot", "name", "--volume", VOLUME, "--region", "r"], "takes nothing more"),
            (["prune", "--volume", VOLUME], "--volume"), (["list", "--region", "r"], "--region"),
            (["snapshot", "--volume", VOLUME, "--region", "r", "--for", "soon"], "is no time"),
            (["prune", "--lsn", "0/1"], "--lsn")]:
        done = pin(relay, ec2, *arguments)
        assert done.returncode == 2 and said in done.stderr, (arguments, done.stderr)
    done = snapshot(relay, ec2, "--pgdata", other.data)
    assert done.returncode == 1 and "and the relay keeps WAL of system" in done.stderr
    done = snapshot(relay, ec2, "--lsn", "0/10")
    assert done.returncode == 1 and "has already been removed" in done.stderr
    assert ec2.requests == [] and pins(relay) == {}


@pytest.mark.skipif(not shutil.which("aws"), reason="needs the command of AWS (awscli)")
def test_the_server_speaks_as_awss_own_command_expects(site, ec2):
    """So it is no stand-in made to fit; and the tags are read by what others use."""
    primary = site.primary()
    relay = console_relay(site, primary)
    ec2.keys = ("ASIATEST", SECRET, "token/+==")
    assert snapshot(relay, ec2).returncode == 0

    def aws(*arguments):
        return subprocess.run(
            ["aws", *arguments, "--region", ec2.region, "--endpoint-url", ec2.url, "--output", "json"],
            capture_output=True, text=True, timeout=120, check=False, env=ec2.environment(os.environ))
    tag = ec2.only_snapshot()["tags"]["walrelay:pin"]
    for arguments in (["--filters", f"Name=tag:walrelay:pin,Values={tag}"],
                      ["--snapshot-ids", only_pin(relay)["name"].split(".")[0]]):
        done = aws("ec2", "describe-snapshots", *arguments)
        assert done.returncode == 0, done.stderr
        found, = json.loads(done.stdout)["Snapshots"]
        assert found["OwnerId"] == ec2.account and found["State"] == "completed"
        assert {"Key": "walrelay:lsn", "Value": only_pin(relay)["lsn"]} in found["Tags"]
    done = aws("ec2", "create-snapshot", "--volume-id", VOLUME)
    assert done.returncode == 0 and json.loads(done.stdout)["VolumeId"] == VOLUME
    done = aws("ec2", "create-snapshot", "--volume-id", "vol-0f")
    assert done.returncode != 0 and "(InvalidVolume.NotFound)" in done.stderr
    done = aws("sts", "get-caller-identity")
    assert done.returncode == 0 and json.loads(done.stdout)["Account"] == ec2.account
    assert ec2.unsigned == []
    ec2.keys = ("ASIATEST", "another", "token/+==")
    variables = {**ec2.environment(os.environ), "AWS_SECRET_ACCESS_KEY": SECRET}
    done = subprocess.run(["aws", "ec2", "describe-snapshots", "--region", ec2.region,
                           "--endpoint-url", ec2.url], capture_output=True, text=True, timeout=120,
                          check=False, env=variables)
    assert done.returncode != 0 and "(AuthFailure)" in done.stderr
