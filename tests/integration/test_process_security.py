"""What the process itself does for its secrets: who may run it, what others may read, what it leaves."""
import os
import shutil
import signal
import stat
import subprocess

import pytest

from support.certificates import Authority
from support.relay import binary, run_cli
from support.replication import command
from support.wait import wait_until

SECRET = "sesame-open-7319"


def has_user_namespaces():
    return shutil.which("unshare") and subprocess.run(
        ["unshare", "-Ur", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_user_namespaces(), reason="needs user namespaces, to be root in one")
def test_root_is_refused(site):
    relay = site.relay(site.primary(), start=False)
    done = subprocess.run(["unshare", "-Ur", binary(), "serve", "-c", relay.config_file],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert '"root" execution of walrelay is not permitted' in done.stderr
    assert not relay.data_dir.exists()


def test_a_data_directory_that_others_can_read_is_refused(site):
    relay = site.relay(site.primary(), start=False)
    relay.data_dir.mkdir()
    for mode in (0o750, 0o701, 0o777):
        relay.data_dir.chmod(mode)
        done = run_cli("serve", "-c", relay.config_file)
        assert done.returncode == 2
        assert f'data directory "{relay.data_dir}" is open to others' in done.stderr
    relay.data_dir.chmod(0o700)
    relay.start()


def test_files_are_closed_to_others_whatever_the_umask(site):
    primary = site.primary(wal_segsize=1)
    log = site.directory / "walrelay.log"
    relay = site.relay(primary, start=False, relay={"log_file": log})
    relay.configure("relay", listen=f"127.0.0.1:{relay.port}, {relay.directory}")
    relay.start(command=["sh", "-c", 'umask 0; exec "$@"', "sh", binary(), "serve", "-c",
                         relay.config_file])
    command(relay, "CREATE_REPLICATION_SLOT kept PHYSICAL RESERVE_WAL")
    relay.wait_flushed(primary.switch_wal())
    found = [path for path in [log, *relay.data_dir.rglob("*")] if path.is_file()]
    assert len(found) > 3
    for path in [relay.data_dir, *found]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path



def test_no_core_and_no_look_into_its_memory(site):
    """The kernel gives what is in /proc of a process that may not be dumped to root."""
    relay = site.relay(site.primary())
    with open(f"/proc/{relay.pid}/limits", encoding="ascii") as file:
        core = next(line for line in file if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert os.stat(f"/proc/{relay.pid}/mem").st_uid != os.getuid()
    with pytest.raises(PermissionError):
        open(f"/proc/{relay.pid}/mem", "rb").close()
    # What it reads of itself it still can.
    assert relay.metrics()["process_open_fds"][0][1] > 5
    # The binary that takes its place is no other.
    before = relay.log_size()
    relay.send(signal.SIGUSR2)
    relay.wait_for_log("is ready to accept connections", before)
    wait_until(lambda: os.stat(f"/proc/{relay.pid}/mem").st_uid != os.getuid())


def test_secrets_are_shown_nowhere(site):
    """A password in conninfo, and the contents of keys and verifiers: not in what it prints."""
    primary = site.primary()
    primary.execute(f"CREATE ROLE rep LOGIN REPLICATION PASSWORD '{SECRET}'")
    authority = Authority(site.directory, "authority")
    relay = site.relay(primary.conninfo(user="rep", password=SECRET), start=False,
                       relay={"log_level": "debug", "admin_users": "ops"})
    _, key = authority.serve(relay)
    relay.auth_file.write_text(run_cli("user", "ops", text_input=f"{SECRET}\n").stdout)
    verifier = relay.auth_file.read_text().split("$")[-1].split('"')[0]
    shown = [run_cli("check", "-c", relay.config_file).stdout]
    relay.start()
    # A new password, and one that libpq refuses, are told of without being shown.
    relay.configure("upstream", conninfo=primary.conninfo(user="rep", password=f"{SECRET}2"))
    relay.wait_for_log("configuration reloaded", relay.reload())
    relay.configure("upstream", conninfo=f"host=127.0.0.1 password={SECRET} nonsense=1")
    relay.wait_for_log("the old one stays in force", relay.reload())
    refused = run_cli("check", "-c", relay.config_file)
    assert refused.returncode == 2
    shown += [refused.stdout, refused.stderr, relay.log_text()]
    shown += [relay.get(path)[1] for path in ("/", "/api/status", "/metrics", "/readyz")]
    shown += [run_cli("status", "-c", relay.config_file).stdout]
    with open(f"/proc/{relay.pid}/cmdline", encoding="utf-8") as file:
        shown.append(file.read())
    for text in shown:
        assert SECRET not in text
        assert verifier not in text
        assert key.read_text().splitlines()[1] not in text
