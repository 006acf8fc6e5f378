"""What a client is told: PostgreSQL's SQLSTATE, like words, and the connection goes on."""
import psycopg
import pytest

from support.replication import Stream, connect
from support.wal import format_lsn

REFUSED = [
    ("SELECT 1", "0A000", "cannot execute SQL commands"),
    ("BEGIN", "0A000", "cannot execute SQL commands"),
    ("identify_system", "0A000", "cannot execute SQL commands"),
    ("", "0A000", "cannot execute SQL commands"),
    ("IDENTIFY_SYSTEM now", "42601", "syntax error"),
    ("START_REPLICATION 0/0 TIMELINE 0", "42601", "invalid timeline 0"),
    ("START_REPLICATION zero", "42601", "syntax error"),
    ("TIMELINE_HISTORY 0", "42601", "invalid timeline 0"),
    ("TIMELINE_HISTORY 9", "58P01", "00000009.history"),
    ("SHOW nosuch", "42704", 'unrecognized configuration parameter "nosuch"'),
    ("SHOW walrelay.links", "42704", "unrecognized configuration parameter"),
    ("START_REPLICATION SLOT nosuch 0/1000000", "42704", 'replication slot "nosuch" does not exist'),
    ("DROP_REPLICATION_SLOT nosuch", "42704", 'replication slot "nosuch" does not exist'),
    ('CREATE_REPLICATION_SLOT "Bad-Name" PHYSICAL', "42602", "contains invalid character"),
    ("CREATE_REPLICATION_SLOT l LOGICAL pgoutput", "0A000", "logical"),
    ("BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/tmp/b')", "0A000", "no target but"),
    ("BASE_BACKUP (LABEL 'x', \"target\" 'blackhole')", "0A000", "no target but"),
    ("START_REPLICATION SLOT l LOGICAL 0/0", "0A000", "logical"),
    ("START_REPLICATION 0/1000000 TIMELINE 7", "XX000",
     "requested timeline 7 is not in this server's history"),
]


@pytest.fixture(name="relay")
def running_relay(site):
    return site.relay(site.primary())


def test_each_refusal_and_the_connection_lives_on(relay):
    with connect(relay.conninfo()) as connection:
        for text, sqlstate, words in REFUSED:
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(text)
            told = refusal.value.diag
            assert (told.sqlstate, words in (told.message_primary or "")) == (sqlstate, True), \
                f"{text}: {told.sqlstate} {told.message_primary}"
            assert told.severity_nonlocalized == "ERROR"
            assert connection.execute("IDENTIFY_SYSTEM").fetchone()[1] == 1


def test_plain_sql_is_refused_with_a_hint_that_names_the_relay(relay):
    with pytest.raises(psycopg.OperationalError) as refusal:
        with psycopg.connect(relay.conninfo(dbname="postgres"), autocommit=True) as connection:
            connection.execute("SELECT 1")
    text = str(refusal.value)
    assert "relay" in text and "HINT" in text


def test_a_slot_created_twice_or_used_twice(relay):
    with connect(relay.conninfo()) as connection:
        connection.execute("CREATE_REPLICATION_SLOT s1 PHYSICAL RESERVE_WAL")
        with pytest.raises(psycopg.errors.DuplicateObject):
            connection.execute("CREATE_REPLICATION_SLOT s1 PHYSICAL")
        restart_lsn = connection.execute("READ_REPLICATION_SLOT s1").fetchone()[1]
        stream = Stream(relay.conninfo()).start(int(restart_lsn.split("/")[1], 16), slot="s1")
        with pytest.raises(psycopg.errors.ObjectInUse) as refusal:
            connection.execute("DROP_REPLICATION_SLOT s1")
        assert 'replication slot "s1" is active for PID' in str(refusal.value)
        stream.close()
        connection.execute("DROP_REPLICATION_SLOT s1 WAIT")


def test_a_start_past_the_end_waits(site):
    """A standby may be ahead of a relay that crashed: it is accepted and told where we are."""
    primary = site.primary()
    relay = site.relay(primary)
    relay.wait_flushed(primary.flush_lsn())
    ahead = relay.received_lsn() + (1 << 20)
    stream = Stream(relay.conninfo())
    stream.command("IDENTIFY_SYSTEM")
    stream.start(ahead, timeline=1)
    stream.reply(ahead, request=True)
    message = stream.receive(10)
    assert message[0] == "k" and message[1] <= ahead
    while primary.insert_lsn() < ahead + 1000:
        primary.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
    assert len(stream.receive_wal(ahead, ahead + 1000)) >= 1000
    stream.close()


def test_wal_that_is_gone(site):
    primary = site.primary(wal_segsize=1)
    relay = site.relay(primary, spool={"retain_size": "0"})
    for _ in range(12):
        primary.switch_wal()
    relay.wait_flushed(primary.flush_lsn())
    stream = Stream(relay.conninfo())
    stream.command("IDENTIFY_SYSTEM")
    with pytest.raises(ConnectionError,
                       match="requested WAL segment 000000010000000000000001 has already been remo"):
        stream.start(1 << 20, timeline=1)
        while stream.receive(10):
            pass
    stream.close()


def test_every_byte_from_a_given_lsn(site):
    """The first byte is the one asked for, wherever in a page it lies."""
    primary = site.primary()
    relay = site.relay(primary)
    for _ in range(30):
        primary.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 20000))")
    end = primary.flush_lsn()
    relay.wait_flushed(end)
    segment = primary.pg_wal / "000000010000000000000001"
    names = sorted(relay.spool.glob("0000000100000000*"))
    segment = primary.pg_wal / names[-1].name
    base = int(segment.name[16:], 16) << 24
    held = segment.read_bytes()
    for start in (base, base + 1, base + 8191, end - 4321, end - 1):
        stream = Stream(relay.conninfo()).start(start)
        assert stream.receive_wal(start, end)[:end - start] == held[start - base:end - base], \
            format_lsn(start)
        stream.close()


def test_the_client_ends_the_stream_and_goes_on(relay):
    stream = Stream(relay.conninfo())
    for _ in range(2):
        position = stream.command("IDENTIFY_SYSTEM").get_value(0, 2).decode()
        high, low = position.split("/")
        stream.start(int(high, 16) << 32 | int(low, 16), timeline=1)
        stream.connection.put_copy_end()
        with pytest.raises(ConnectionError):
            while True:
                stream.receive(10)
        while stream.connection.get_result():
            pass
    stream.close()
