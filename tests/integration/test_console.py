"""The console: psql and drivers work, what it shows is right, and what it is told is done."""
import datetime
import os
import pty
import re
import select
import signal
import subprocess

import psycopg
import pytest
from psycopg import pq

from support.console import ADMIN, conninfo, connect, order, psql, show
from support.postgres import default_bin
from support.rawclient import RawClient
from support.relay import run_cli
from support.replication import Stream, command
from support.wait import wait_until

ADMINS = {"relay": {"admin_users": f"nobody, {ADMIN}"}}
TABLES = ["UPSTREAM", "STANDBYS", "DESTINATIONS", "USAGE", "USAGE BY MONTH", "SLOTS", "PINS", "SPOOL",
          "PROMOTION", "CONFIG", "VERSION", "HELP"]


def lonely(site, **sections):
    """A relay whose upstream is not there: the console needs none."""
    relay = site.relay("host=127.0.0.1 port=1", start=False, **{**ADMINS, **sections})
    relay.start(wait=False)
    wait_until(lambda: relay.get("/healthz")[0] == 200, 30, "the relay to serve")
    return relay


def refusal(relay, text, user=ADMIN):
    """SQLSTATE, message and hint of what must fail."""
    with connect(relay, user) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(text)
        assert connection.execute("SELECT 1").fetchone() == (1,), "the session goes on"
    return caught.value.sqlstate, caught.value.diag.message_primary, caught.value.diag.message_hint


# --- psql ---

def test_psql_shows_every_table_before_anything_is_known(site):
    relay = lonely(site)
    for table in TABLES:
        done = psql(relay, "-c", f"SHOW {table}")
        assert done.returncode == 0 and re.search(r"\(\d+ rows?\)", done.stdout), (table, done)
    assert psql(relay, "-Atc", "show version").stdout.startswith("walrelay ")
    listed = psql(relay, "-Atc", "SHOW HELP").stdout
    for line in ("SHOW STANDBYS|", "PAUSE destination|", "SKIP TO lsn|"):
        assert line in listed


def test_psql_formats_statements_and_errors(site):
    relay = lonely(site)
    done = psql(relay, text="\\pset format csv\n\\pset null nil\nSHOW SLOTS;\nSHOW UPSTREAM;\n")
    assert done.stdout.splitlines()[2].startswith("slot_name,temporary,active,")
    assert ",nil," in done.stdout and not done.stderr, done
    done = psql(relay, "-At", "-c", "SHOW VERSION; SHOW USAGE; -- a comment\nSHOW PINS", "-c", "SELECT 1")
    assert len(done.stdout.splitlines()) == 2 and done.returncode == 0, done
    # What comes before an error in a query is done, what follows it is not.
    done = psql(relay, "-At", "-c", "SHOW VERSION; SHOW nothing; SHOW VERSION")
    assert done.stdout.count("walrelay") == 1 and 'parameter "nothing"' in done.stderr
    done = psql(relay, "-At", "-v", "ON_ERROR_STOP=1", text="SHOW nothing;\nSHOW VERSION;\n")
    assert done.returncode == 3 and "walrelay" not in done.stdout
    done = psql(relay, "-At", text="SHOW nothing;\nSHOW VERSION;\n")
    assert done.returncode == 0 and "walrelay" in done.stdout
    done = psql(relay, "-v", "VERBOSITY=verbose", "-c", "SHOW SLOTS; SHOW STANDBYS now")
    assert "ERROR:  42601: syntax error at or near \"now\"" in done.stderr
    pointer = " " * len("LINE 1: SHOW SLOTS; SHOW STANDBYS ") + "^"
    assert pointer in done.stderr.splitlines(), "psql points to it"
    assert "slot_name" not in done.stdout, "nothing of a query that cannot be read is done"
    for text in ("\\d", "\\l", "\\dt", "SELECT now()", "\\du"):
        done = psql(relay, "-v", "VERBOSITY=verbose", "-c", text)
        assert "0A000" in done.stderr and "HINT:  SHOW HELP" in done.stderr, (text, done)


def test_psql_describes_a_result(site):
    relay = lonely(site)
    done = psql(relay, "-At", text="SHOW SPOOL \\gdesc\n")
    assert done.stdout.splitlines() == ["item|text", "name|text", "lsn|pg_lsn", "bytes|bigint",
                                        "detail|text"], done


def test_psql_watches(site):
    """Rows come again and again, and Ctrl-C ends it."""
    relay = lonely(site)
    # A session of its own, so that the signal goes to psql alone.
    with subprocess.Popen([default_bin() / "psql", "-X", "-At", "-d", conninfo(relay)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as watcher:
        watcher.stdin.write("SHOW VERSION \\watch 0.1\n")
        watcher.stdin.flush()
        seen = 0
        while seen < 3:
            line = watcher.stdout.readline()
            assert line, watcher.stderr.read()
            seen += line.startswith("walrelay ")
        watcher.send_signal(signal.SIGINT)
        watcher.stdin.close()
        watcher.stdout.read()
        watcher.wait(30)


def test_psql_completes_show(site):
    relay = lonely(site)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", INPUTRC="/dev/null", PSQL_HISTORY="/dev/null")
        os.execv(default_bin() / "psql", ["psql", "-X", "-d", conninfo(relay)])
    said = b""

    def has_said(text):
        nonlocal said
        while select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 4096)
        return text in said
    wait_until(lambda: has_said(b"=>") or has_said(b"=#"), 30, "psql's prompt")
    os.write(terminal, b"SHOW dest\t")
    wait_until(lambda: has_said(b"SHOW destinations"), 30, "the name to be completed")
    os.write(terminal, b"\x15\\q\n")
    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 30, "psql to end")
    os.close(terminal)


# --- drivers ---

def check_lags_and_feedback(primary, standby, row):
    """As PostgreSQL would show them: in order, unknown again once idle, the age of what is held up
    while replay is; and the oldest transaction that the standby's queries need."""
    primary.execute("CREATE TABLE lags AS SELECT 1 AS a")
    standby.catch_up(primary)
    wait_until(lambda: row()["write_lag"] is None and row()["replay_lag"] is None, 60,
               "the lags to be forgotten")
    standby.execute("SELECT pg_wal_replay_pause()")
    primary.execute("INSERT INTO lags VALUES (2)")
    second = datetime.timedelta(seconds=1)
    wait_until(lambda: (row()["replay_lag"] or second) > 2 * second, 60, "the lag of replay to grow")
    one = row()
    assert one["write_lag"] <= one["flush_lag"] < one["replay_lag"]
    assert one["flush_lsn"] > one["replay_lsn"]
    standby.execute("SELECT pg_wal_replay_resume()")
    standby.catch_up(primary)
    with standby.connect() as query:
        query.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        needed = query.execute("SELECT txid_snapshot_xmin(txid_current_snapshot())").fetchone()[0]
        primary.execute("INSERT INTO lags VALUES (3)")
        wait_until(lambda: row()["backend_xmin"] is not None
                   and int(row()["backend_xmin"]) == needed, 30, "the standby's feedback")


def test_columns_are_those_of_pg_stat_replication(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS, **{"destination far": {"match": "application s1"}})
    standby = site.standby(primary, relay, "s1", hot_standby_feedback="on",
                           wal_receiver_status_interval="1s")
    with primary.connect() as server, connect(relay) as console:
        theirs = [(column.name, column.type_code)
                  for column in server.execute("SELECT * FROM pg_stat_replication").description]
        cursor = console.execute("SHOW STANDBYS")
        ours = [(column.name, column.type_code) for column in cursor.description]
        assert ours[:len(theirs)] == theirs
        assert {"destination", "wal_bytes", "wire_bytes", "compression_ratio"} <= {
            name for name, _ in ours[len(theirs):]}

    def row():
        return next(one for one in show(relay, "STANDBYS") if one["application_name"] == "s1")
    wait_until(lambda: row()["state"] == "streaming" and row()["replay_lsn"], 30)
    check_lags_and_feedback(primary, standby, row)
    one = row()
    assert one["usesysid"] is None and one["client_hostname"] is None, "what a relay cannot know"
    assert str(one["client_addr"]) == "127.0.0.1" and one["client_port"] > 0
    assert one["usename"] == "replicator" and one["sync_state"] == "async"
    assert one["destination"] == "far" and one["is_link"] is False
    assert isinstance(one["backend_start"], datetime.datetime)
    assert one["wal_bytes"] > 0 and one["wire_bytes"] > one["wal_bytes"]
    assert one["compression_ratio"] == pytest.approx(one["wal_bytes"] / one["wire_bytes"])
    wait_until(lambda: show(relay, "UPSTREAM")[0]["received_lsn"] == row()["flush_lsn"])
    upstream = show(relay, "UPSTREAM")[0]
    assert upstream["state"] == "streaming"
    assert upstream["system_identifier"] == relay.status()["cluster"]["system_identifier"]
    far = {one["name"]: one for one in show(relay, "DESTINATIONS")}["far"]
    assert far["standbys"] == 1 and far["state"] == "ok"
    best = show(relay, "PROMOTION")[0]
    assert (best["rank"], best["application_name"], best["kind"]) == (1, "s1", "standby")
    assert (best["would_lose_bytes"], best["drained"]) == (0, True)


def test_the_extended_protocol(site):
    relay = lonely(site)
    with connect(relay) as connection:
        simple = connection.execute("SHOW SPOOL").fetchall()
        for binary in (False, True):
            # Prepared at once, then described and run again under its name.
            for _ in range(3):
                rows = connection.execute("SHOW SPOOL", prepare=True, binary=binary).fetchall()
                assert [row[0] for row in rows] == [row[0] for row in simple]
        assert connection.execute("SHOW server_version_num", prepare=True).fetchone()[0].isdigit()
        assert connection.execute("SELECT 1", binary=True).fetchone() == (1,)
        for text in ("PAUSE %s", "SET CAP far = %s", "SHOW %s", "SELECT %s"):
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                connection.execute(text, ["x"])
        for text, refused in (("SHOW HELP; SHOW HELP", psycopg.errors.SyntaxError),
                              ("SHOW nothing", psycopg.errors.UndefinedObject),
                              ("PAUSE nowhere", psycopg.errors.UndefinedObject)):
            with pytest.raises(refused):
                connection.execute(text, prepare=True)
        connection.execute("DEALLOCATE ALL")
        connection.execute("DISCARD ALL")
        assert connection.execute("").statusmessage is None


def test_typed_values_are_the_same_as_text_and_binary(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS)
    command(relay, "CREATE_REPLICATION_SLOT held PHYSICAL RESERVE_WAL")
    site.standby(primary, relay, "s1")
    wait_until(lambda: show(relay, "STANDBYS")[0]["replay_lsn"], 30)
    with connect(relay) as connection:
        for table in ("STANDBYS", "SLOTS", "USAGE", "CONFIG"):
            text = connection.execute(f"SHOW {table}", binary=False)
            binary = connection.execute(f"SHOW {table}", binary=True)
            names = [column.name for column in text.description]
            assert names == [column.name for column in binary.description]
            for one, other in zip(text.fetchall(), binary.fetchall(), strict=True):
                for name, value, same in zip(names, one, other):
                    if name == "usename" or (name.endswith("_lsn") and same is not None):
                        continue  # psycopg has no binary loader of theirs
                    if not re.search("bytes|lag|reply_time|ratio|cost", name):
                        assert value == same, (table, name)


def test_rows_a_few_at_a_time_and_errors_until_sync(site):
    """As asyncpg and JDBC do it: Execute with a limit, and a pipeline that fails in the middle."""
    relay = lonely(site)
    with RawClient(relay.port) as client:
        client.startup(user=ADMIN, database="walrelay")
        client.receive_until("Z")

        def begin(text, limit):
            client.message("P", b"\0" + text + b"\0\0\0")
            client.message("B", b"\0\0\0\0\0\0\0\0")
            client.message("D", b"P\0")
            client.message("E", b"\0" + limit.to_bytes(4, "big"))
        begin(b"SHOW SPOOL", 2)
        client.message("E", b"\0\0\0\0\0")
        client.message("S")
        kinds = "".join(client.receive()[0] for _ in range(13))
        assert kinds == "12TDDsDDDDDCZ", kinds
        begin(b"SHOW nothing", 0)
        begin(b"SHOW VERSION", 0)
        client.message("S")
        begin(b"SHOW VERSION", 0)
        client.message("S")
        kinds = "".join(client.receive()[0] for _ in range(7))
        assert kinds == "EZ12TDC", kinds
        assert client.receive() == ("Z", b"I")
        client.message("B", b"\0gone\0\0\0\0\0\0\0")
        client.message("S")
        assert b"C26000" in client.receive_until("E")
        client.receive_until("Z")
        client.message("Q", b" ; -- nothing\n\0")
        assert client.receive()[0] == "I" and client.receive()[0] == "Z"
        client.message("Q", b"SHOW VERSION")
        assert b"C08P01" in client.receive_until("E")
        client.receive_until("Z")
        client.message("F", b"\0\0\0\1")
        assert b"C0A000" in client.receive_until("E")
        client.receive_until("Z")
        client.message("w")
        assert client.fatal()["C"] == "08P01" and client.is_closed()


def test_a_pipeline_of_psycopg(site):
    relay = lonely(site)
    if not pq.version() >= 140000:
        pytest.skip("this libpq has no pipelines")
    with connect(relay) as connection, connection.pipeline():
        cursors = [connection.execute(f"SHOW {table}") for table in ("VERSION", "SPOOL", "HELP")]
        assert [bool(cursor.fetchall()) for cursor in cursors] == [True] * 3


def test_transactions_as_drivers_open_them(site):
    relay = lonely(site)
    with connect(relay, autocommit=False) as connection:
        assert connection.info.transaction_status == pq.TransactionStatus.IDLE
        connection.execute("SHOW VERSION")
        assert connection.info.transaction_status == pq.TransactionStatus.INTRANS
        connection.commit()
        with pytest.raises(psycopg.errors.ActiveSqlTransaction) as caught:
            connection.execute("RELOAD")
        assert caught.value.diag.message_primary == "RELOAD cannot run inside a transaction block"
        assert connection.info.transaction_status == pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SHOW VERSION")
        connection.rollback()
        connection.execute("SHOW VERSION")


def test_a_script_of_many_results_to_a_slow_reader(site):
    """What a client does not read is not made: it costs no more than its own connection."""
    relay = lonely(site)
    with RawClient(relay.port) as client:
        client.startup(user=ADMIN, database="walrelay")
        client.receive_until("Z")
        client.message("Q", b"SHOW HELP;" * 900 + b"\0")
        # Others are served meanwhile.
        assert show(relay, "VERSION")
        for _ in range(900):
            client.receive_until("C")
        assert client.receive()[0] == "Z"
        client.message("Q", b"SELECT 1;" * 1200 + b"\0")
        assert client.fatal()["C"] == "08P01", "a statement longer than it may be"


# --- who may ---

def test_only_admins_change_anything(site):
    relay = lonely(site, **{"destination far": {"match": "application s1"}})
    for text in ("PAUSE far", "RELOAD", "KILL s1", "DROP SLOT s", "SKIP TO 1/0", "PIN p", "UNPIN p",
                 "SET CAP far = 1MB/s", "RESUME far"):
        sqlstate, message, hint = refusal(relay, text, user="guest")
        assert (sqlstate, hint.startswith('"admin_users"')) == ("42501", True), text
        assert message.startswith("permission denied for "), message
    assert show(relay, "DESTINATIONS", user="guest")[0]["state"] == "ok"
    relay.configure("relay", admin_users="guest")
    before = relay.reload()
    relay.wait_for_log("configuration reloaded", before)
    assert order(relay, "PAUSE far", user="guest") == "PAUSE"
    assert refusal(relay, "RESUME far")[0] == "42501"


def test_the_relays_own_user_through_a_socket(site):
    relay = lonely(site, relay={"hba_file": None})
    relay.configure("relay", listen=f"{relay.directory},127.0.0.1:{relay.port}")
    relay.stop()
    relay.start(wait=False)
    socket = {"host": str(relay.directory), "user": "whoever"}
    wait_until(lambda: psycopg.connect(relay.conninfo(dbname="walrelay", **socket)), 30)
    with psycopg.connect(relay.conninfo(dbname="walrelay", **socket), autocommit=True) as connection:
        assert connection.execute("RELOAD").statusmessage == "RELOAD"
    with pytest.raises(psycopg.OperationalError):
        connect(relay)


def test_rules_let_into_the_console(site):
    relay = lonely(site)
    relay.hba_file.write_text("host replication all 127.0.0.1/32 trust\n", encoding="utf-8")
    before = relay.reload()
    relay.wait_for_log("configuration reloaded", before)
    with pytest.raises(psycopg.OperationalError, match='no pg_hba.conf entry .* database "walrelay"'):
        connect(relay)
    relay.hba_file.write_text("host walrelay ops 127.0.0.1/32 trust\n", encoding="utf-8")
    assert order_when_reloaded(relay) == "RELOAD"
    with pytest.raises(psycopg.OperationalError, match="no pg_hba.conf entry"):
        connect(relay, user="guest")


def order_when_reloaded(relay):
    before = relay.reload()
    relay.wait_for_log("configuration reloaded", before)
    return order(relay, "RELOAD")


# --- orders ---

def test_killing_a_standby(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS)
    standby = site.standby(primary, relay, "s1")
    standby.catch_up(primary)
    pid = show(relay, "STANDBYS")[0]["pid"]
    before = relay.log_size()
    assert refusal(relay, "KILL s2")[0] == "42704"
    assert order(relay, "KILL s1") == "KILL"
    relay.wait_for_log("s1 .*terminating connection due to administrator command", before)
    relay.wait_for_log(f'console: user "{ADMIN}" 127.0.0.1:[0-9]+: KILL s1', before)
    wait_until(lambda: [one["pid"] for one in show(relay, "STANDBYS")] not in ([], [pid]), 60,
               "the standby to come back")
    standby.catch_up(primary)
    # Two of one name: each has its pid.
    twins = [Stream(relay.conninfo(application_name="twin")) for _ in range(2)]
    sqlstate, message, _ = refusal(relay, "KILL twin")
    assert (sqlstate, message) == ("42725", 'there are 2 standbys "twin"')
    pids = {one["pid"] for one in show(relay, "STANDBYS") if one["application_name"] == "twin"}
    first = min(pids)
    assert order(relay, f"KILL {first}") == "KILL"
    wait_until(lambda: {one["pid"] for one in show(relay, "STANDBYS")
                        if one["application_name"] == "twin"} == pids - {first}, 30)
    for twin in twins:
        twin.close()


def destination(relay, name="far"):
    return next(one for one in show(relay, "DESTINATIONS") if one["name"] == name)


def test_pausing_a_destination(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS, **{"destination far": {"match": "application s1"}})
    standby = site.standby(primary, relay, "s1", wal_receiver_timeout="2s")
    standby.catch_up(primary)
    receiver = standby.value("SELECT pid FROM pg_stat_wal_receiver")
    assert order(relay, "PAUSE far") == "PAUSE"
    assert destination(relay)["state"] == "paused"
    primary.execute("CREATE TABLE paused AS SELECT generate_series(1, 1000)")
    end = primary.flush_lsn()
    relay.wait_received(end)
    # Keepalives go on: several of its timeouts later it has the same receiver, and no WAL.
    messages = "SELECT last_msg_receipt_time FROM pg_stat_wal_receiver"
    for _ in range(3):
        last = standby.value(messages)
        wait_until(lambda last=last: standby.value(messages) > last, 30, "a keepalive")
    assert standby.replay_lsn() < end
    lag = show(relay, "STANDBYS")[0]["lag_bytes"]
    assert lag > 0 and not show(relay, "PROMOTION")[0]["drained"]
    # As a limit's pause, it holds over a restart of the relay, until RESUME.
    relay.stop()
    relay.start()
    assert destination(relay)["state"] == "paused"
    assert order(relay, "RESUME far") == "RESUME"
    standby.catch_up(primary)
    assert standby.value("SELECT count(*) FROM paused") == 1000
    assert receiver
    assert refusal(relay, "PAUSE nowhere")[:2] == ("42704", 'destination "nowhere" does not exist')


def test_a_cap_until_the_next_reload(site):
    relay = lonely(site, **{"destination us-west-2": {"match": "application s1",
                                                     "rate_cap": "80Mbit/s"}})

    def cap():
        return destination(relay, "us-west-2")["rate_cap_bytes_per_second"]
    assert cap() == 10_000_000
    assert order(relay, "SET CAP us-west-2 = 8 Mbit/s") == "SET CAP"
    assert cap() == 1_000_000
    assert order(relay, "set cap \"us-west-2\" to '16Mbit/s'") == "SET CAP"
    assert cap() == 2_000_000
    assert order(relay, "SET CAP us-west-2 = DEFAULT") == "SET CAP"
    assert cap() == 10_000_000
    assert order(relay, "SET CAP us-west-2 = 1MB/s") == "SET CAP"
    assert order(relay, "RELOAD") == "RELOAD"
    assert cap() == 10_000_000
    for rate in ("fast", "7kbit/s", "0", "5"):
        assert refusal(relay, f"SET CAP us-west-2 = {rate}")[:2] == ("22023", f'invalid rate: "{rate}"')


def test_reloading_a_changed_file(site):
    relay = lonely(site)

    def retain_size():
        return next(one for one in show(relay, "CONFIG") if one["key"] == "retain_size")
    assert (retain_size()["value"], retain_size()["is_default"]) == ("64MB", False)
    relay.configure("spool", retain_size="96MB")
    assert order(relay, "RELOAD") == "RELOAD"
    assert retain_size()["value"] == "96MB"
    relay.configure("spool", retain_size="plenty")
    with connect(relay) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("RELOAD")
    assert caught.value.sqlstate == "F0000"
    assert re.search(r"walrelay.ini:\d+: .*retain_size", caught.value.diag.message_detail)
    assert retain_size()["value"] == "96MB"
    # Passwords are not shown.
    relay.configure("spool", retain_size=None)
    relay.configure("upstream", conninfo="host=127.0.0.1 port=1 password=sesame")
    order(relay, "RELOAD")
    shown = str(show(relay, "CONFIG"))
    assert "********" in shown and "sesame" not in shown


def test_dropping_a_slot(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS)
    command(relay, "CREATE_REPLICATION_SLOT idle PHYSICAL RESERVE_WAL")
    command(relay, "CREATE_REPLICATION_SLOT busy PHYSICAL RESERVE_WAL")
    site.standby(primary, relay, "s1", slot="busy")

    def slots():
        return {one["slot_name"]: one for one in show(relay, "SLOTS")}
    wait_until(lambda: slots()["busy"]["active"], 60)
    assert slots()["idle"]["restart_lsn"] and not slots()["idle"]["active"]
    held = {(one["item"], one["name"]) for one in show(relay, "SPOOL")}
    assert {("slot", "idle"), ("slot", "busy"), ("standby", "s1")} <= held
    assert refusal(relay, "DROP SLOT busy")[0] == "55006"
    assert refusal(relay, "DROP SLOT none")[0] == "42704"
    assert order(relay, "DROP SLOT idle") == "DROP SLOT"
    assert set(slots()) == {"busy"}
    relay.stop()
    relay.start()
    assert set(slots()) == {"busy"}


def test_pins(site):
    primary = site.primary()
    relay = site.relay(primary, **ADMINS)
    relay.wait_received(primary.flush_lsn())
    end = show(relay, "UPSTREAM")[0]["received_lsn"]
    assert order(relay, f"PIN seed AT {end} FOR 2 h") == "PIN"
    assert order(relay, "PIN \"snap-1\"") == "PIN"
    pins = {one["pin_name"]: one for one in show(relay, "PINS")}
    assert pins["seed"]["lsn"] == end
    assert pins["seed"]["expires"] - pins["seed"]["created"] == datetime.timedelta(hours=2)
    assert pins["snap-1"]["expires"] - pins["snap-1"]["created"] == datetime.timedelta(days=7)
    assert ("pin", "seed") in {(one["item"], one["name"]) for one in show(relay, "SPOOL")}
    assert refusal(relay, "PIN seed")[0] == "42710"
    assert refusal(relay, "PIN other AT 0/1")[0] == "58P01"
    assert refusal(relay, "PIN other FOR long")[:2] == ("22023", 'invalid time: "long"')
    assert refusal(relay, "UNPIN other")[0] == "42704"
    assert order(relay, "UNPIN seed") == "UNPIN"
    # `walrelay pin` speaks through the console.
    target = ["-d", conninfo(relay)]
    assert run_cli("pin", "add", "cli", "--for", "1h", *target).returncode == 0
    listed = run_cli("pin", "list", *target)
    assert "cli" in listed.stdout and "snap-1" in listed.stdout, listed
    assert run_cli("pin", "drop", "cli", *target).returncode == 0
    assert run_cli("pin", "drop", "cli", *target).returncode == 1
    assert [one["pin_name"] for one in show(relay, "PINS")] == ["snap-1"]


def test_skipping_a_gap(site):
    primary = site.primary(wal_segsize=1, wal_keep_size="0", min_wal_size="2MB", max_wal_size="2MB")
    relay = site.relay(primary, **ADMINS)
    primary.switch_wal()
    relay.wait_flushed(primary.flush_lsn())
    assert refusal(relay, "SKIP TO 1/0")[:2] == ("55000", "there is no gap to skip")
    relay.stop()
    primary.execute("SELECT pg_drop_replication_slot('walrelay_relay')")
    for _ in range(10):
        primary.switch_wal()
        primary.execute("CHECKPOINT")
    relay.start(wait=False)
    wait_until(lambda: show(relay, "UPSTREAM")[0]["has_gap"], 60, "the gap to be seen")
    held = show(relay, "UPSTREAM")[0]["received_lsn"]
    assert refusal(relay, f"SKIP TO {held}")[0] == "55000"
    sqlstate, message, _ = refusal(relay, "SKIP TO 7/0")
    assert sqlstate == "22023" and "the upstream has WAL only up to" in message
    begin = primary.switch_wal()
    primary.execute("CREATE TABLE behind_the_gap AS SELECT 1 AS a")
    wait_until(lambda: show(relay, "UPSTREAM")[0]["state"] == "stopped", 60, "it to have tried")
    before = relay.log_size()
    wait_until(lambda: order(relay, f"SKIP TO {begin >> 32:X}/{begin + 5:X}") == "SKIP", 60)
    relay.wait_for_log("is skipped: no standby is served across this hole", before)
    relay.wait_received(primary.flush_lsn())
    wait_until(lambda: relay.get("/readyz")[0] == 200, 60, "it streams again")
    assert not show(relay, "UPSTREAM")[0]["has_gap"]
    # What is behind the hole is served, what is in it is not.
    standby = site.standby(primary, relay, "s1")
    standby.catch_up(primary)
    assert standby.value("SELECT a FROM behind_the_gap") == 1
    with pytest.raises(ConnectionError, match="already been removed"):
        stream = Stream(relay.conninfo()).start(begin - (1 << 20))
        while True:
            stream.receive(30)


# --- sessions ---

def test_sessions_count_and_are_told_goodbye(site):
    relay = lonely(site, relay={**ADMINS["relay"], "max_connections": 2})
    first, second = connect(relay), connect(relay)
    with pytest.raises(psycopg.OperationalError, match="too many clients already"):
        connect(relay)
    second.close()
    wait_until(lambda: connect(relay), 30, "room for another")
    first.execute("BEGIN")
    relay.stop()
    with pytest.raises(psycopg.OperationalError) as caught:
        first.execute("SHOW VERSION")
    assert caught.value.sqlstate == "57P01" or "administrator command" in str(caught.value), caught


def test_a_session_that_goes_in_the_middle(site):
    """Answers that are under way when a client is gone hurt nobody, also while the relay stops."""
    relay = lonely(site)
    for _ in range(50):
        with RawClient(relay.port) as client:
            client.startup(user=ADMIN, database="walrelay")
            client.receive_until("Z")
            client.message("Q", b"SHOW CONFIG; RELOAD; PIN p; UNPIN p; DROP SLOT none\0" )
    clients = [RawClient(relay.port) for _ in range(20)]
    for client in clients:
        client.startup(user=ADMIN, database="walrelay")
        client.receive_until("Z")
        client.message("Q", b"SHOW CONFIG;RELOAD;" * 50 + b"\0")
    relay.stop()
    for client in clients:
        client.socket.close()
