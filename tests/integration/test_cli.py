"""The commands beside `serve`: exact errors, exact exit codes."""
import re

from support.relay import run_cli
from support.wait import wait_until
from support.wal import segments


def test_version_and_help():
    version = run_cli("--version")
    assert version.returncode == 0 and re.match(r"walrelay \d+\.\d+", version.stdout)
    overview = run_cli("--help")
    assert overview.returncode == 0
    for name in ("serve", "check", "status", "usage", "user", "reset"):
        assert re.search(rf"^\s+.*\b{name}\b", overview.stdout, re.MULTILINE), name
        one = run_cli(name, "--help")
        assert one.returncode == 0 and name in one.stdout and not one.stderr


def test_the_plugin_answers_unknown_to_whatever_is_no_check():
    for arguments in (["--help"], ["--version"], ["--nonsense"], ["-t", "0"], ["-c", "/nowhere"],
                      ["--url", "http://127.0.0.1:1"]):
        done = run_cli("nagios", *arguments)
        assert done.returncode == 3 and done.stdout.strip(), arguments


def test_wrong_use_is_exit_2_and_says_what_is_right():
    for arguments in ([], ["nonsense"], ["serve"], ["serve", "-c"], ["serve", "--nonsense"],
                      ["check"], ["user"], ["reset"], ["usage", "--by"],
                      ["usage", "--json", "--csv", "-c", "/nowhere"], ["status", "extra"]
                      ):
        done = run_cli(*arguments)
        assert done.returncode == 2, f"{arguments}: {done.returncode}"
        assert done.stderr.strip() and not done.stdout, arguments
    assert "serve" in run_cli("serv").stderr


def test_check_prints_what_would_be_in_force(site):
    relay = site.relay("host=127.0.0.1 port=1 user=u password=secret", start=False)
    done = run_cli("check", "-c", relay.config_file)
    assert done.returncode == 0, done.stderr
    assert "retain_size" in done.stdout and "64MB" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_check_names_every_fault_with_its_line(site):
    relay = site.relay("host=127.0.0.1", start=False)
    relay.configure("spool", retain_sise="1GB", max_size="big")
    relay.configure("nonsense", key="value")
    relay.hba_file.write_text("# fine\nhost replication all nowhere trust\n")
    relay.auth_file.write_text('"bob" "in clear"\n"eve" "md5d41d8cd98f00b204e9800998ecf8427e"\n')
    done = run_cli("check", "-c", relay.config_file)
    assert done.returncode == 2
    said = done.stdout + done.stderr
    lines = relay.config_file.read_text().splitlines()

    def line_of(start):
        return next(i for i, line in enumerate(lines, 1) if line.startswith(start))
    for place, words in [
            (f"{relay.config_file}:{line_of('retain_sise')}: ", "retain_size"),
            (f"{relay.config_file}:{line_of('max_size = big')}: ", "max_size"),
            (f"{relay.config_file}:{line_of('[nonsense]')}: ", "nonsense"),
            (f"{relay.hba_file}:2: ", "nowhere"),
            (f"{relay.auth_file}:1: ", "walrelay user"),
            (f"{relay.auth_file}:2: ", "SCRAM")]:
        told = [line for line in said.splitlines() if line.startswith(place)]
        assert told and words in told[0], f"{place}{words} in:\n{said}"


def test_a_missing_key_or_file(site):
    relay = site.relay("host=127.0.0.1", start=False)
    relay.configure("relay", name=None)
    done = run_cli("check", "-c", relay.config_file)
    assert done.returncode == 2 and "name" in done.stdout + done.stderr
    done = run_cli("check", "-c", site.directory / "nothing.ini")
    assert done.returncode == 2 and "nothing.ini" in done.stdout + done.stderr


def test_user_prints_a_verifier_and_never_the_password():
    done = run_cli("user", "alice", text_input="wonderland\n")
    assert done.returncode == 0
    assert re.fullmatch(r'"alice" "SCRAM-SHA-256\$\d+:[\w+/=]+\$[\w+/=]+:[\w+/=]+"\n', done.stdout)
    assert "wonderland" not in done.stdout + done.stderr
    assert run_cli("user", "alice", text_input="wonderland\n").stdout != done.stdout, "salted"
    assert run_cli("user", "alice").returncode == 2
    quoted = run_cli("user", 'we"ird', text_input="x\n")
    assert quoted.stdout.startswith('"we""ird" ')


def test_reset_begins_a_new_range_and_deletes_nothing(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary)
    primary.switch_wal()
    refused = run_cli("reset", "-c", relay.config_file, "--yes")
    assert refused.returncode == 2, "the relay runs"
    relay.stop()
    held = segments(relay.spool)
    asked = run_cli("reset", "-c", relay.config_file, text_input="n\n")
    assert asked.returncode == 1

    # A gap: the slot goes, and with it the WAL that should come next.
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    primary.configure(wal_keep_size="0", min_wal_size="2MB", max_wal_size="2MB")
    primary.reload()
    for _ in range(8):
        primary.switch_wal()
        primary.execute("CHECKPOINT")
    relay.start(wait=False)
    wait_until(lambda: relay.get("/readyz")[0] == 503)
    relay.wait_for_log("(?i)already been removed|gap|slot")
    relay.stop()
    done = run_cli("reset", "-c", relay.config_file, "--yes")
    assert done.returncode == 0, done.stderr
    relay.start()
    relay.wait_flushed(primary.flush_lsn())
    everywhere = {path.name for path in relay.data_dir.rglob("0*") if path.is_file()}
    assert set(held) <= everywhere
