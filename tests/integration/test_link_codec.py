"""WAL of real servers goes through the codec of the link, cut at random, and comes out the same."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from support.wait import wait_until
from support.wal import segment_start, segments

pytestmark = pytest.mark.any_version

SEEDS = (1, 2)
PREPARED = {"max_prepared_transactions": 2}
WAL_PAGE_BYTES = 8192
XLP_FIRST_IS_OVERWRITE_CONTRECORD = 0x08


def round_trip(server, end, timeline=None):
    """What link_round_trip makes of server's WAL before end: of the newest timeline's segment where
    there are several, or of that timeline alone."""
    newest = {}
    for name in segments(server.pg_wal):
        start = segment_start(name, server.wal_segment_bytes)
        if start < end and timeline in (None, int(name[:8], 16)):
            newest[start] = name
    program = Path(os.environ["WALRELAY_BINARY"]).parents[2] / "tests" / "link_round_trip"
    made = None
    for seed in SEEDS:
        done = subprocess.run(
            [program, str(seed), str(min(newest)), str(end)] +
            [server.pg_wal / newest[start] for start in sorted(newest)],
            capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert made["raw"] == end - min(newest)
    return made


def work(server, rounds=3):
    """WAL of many kinds: each round logs the pages it touches whole."""
    server.execute("CREATE TABLE documents (id int PRIMARY KEY, at timestamptz DEFAULT now(),"
                   " body jsonb, note text, tags int[])")
    server.execute("INSERT INTO documents SELECT i, now(), jsonb_build_object('n', i, 'h', md5(i::text)),"
                   " repeat(md5(i::text), mod(i, 7)), ARRAY[mod(i, 13), mod(i, 31)] FROM generate_series(1, 4000) i")
    for method in ("btree (note)", "gin (tags)", "brin (id)", "hash (note)", "gist (point(id, id))",
                   "spgist (point(id, id))"):
        server.execute(f"CREATE INDEX ON documents USING {method}")
    server.execute("CREATE SEQUENCE numbers")
    for number in range(rounds):
        server.execute("CHECKPOINT")
        server.execute("UPDATE documents SET at = now(), note = note || 'x' WHERE mod(id, 5) = %s", number)
        server.execute("DELETE FROM documents WHERE mod(id, 50) = %s", number)
        server.execute("INSERT INTO documents SELECT nextval('numbers') + 10000, now(), '{}',"
                       " repeat('long ', 3000), '{1}' FROM generate_series(1, 60)")
        server.execute("VACUUM documents")
        server.execute("SELECT pg_logical_emit_message(true, 'test', repeat('m', 30000))")
        if number == 1:
            server.switch_wal()
    server.execute("CREATE TABLE copies AS SELECT * FROM documents")
    server.execute("TRUNCATE copies")
    server.execute("CREATE UNLOGGED TABLE light AS SELECT 1 AS a")
    server.execute("BEGIN")
    server.execute("SAVEPOINT inner_one")
    server.execute("INSERT INTO copies SELECT * FROM documents LIMIT 10")
    server.execute("ROLLBACK TO inner_one")
    server.execute("PREPARE TRANSACTION 'prepared'")
    server.execute("COMMIT PREPARED 'prepared'")
    server.execute("REINDEX TABLE documents")


@pytest.mark.parametrize("compression,wal_segsize,wal_level", [
    ("off", 1, "logical"), ("pglz", 16, "replica"), ("lz4", 1, "replica"), ("zstd", 64, "minimal")])
def test_real_wal_comes_out_as_it_went_in(site, compression, wal_segsize, wal_level):
    primary = site.primary(wal_segsize=wal_segsize, initdb_options=["--data-checksums"],
                           wal_level=wal_level, **PREPARED,
                           max_wal_senders=0 if wal_level == "minimal" else 10)
    if compression == "pglz" and primary.major < 15:
        compression = "on"
    try:
        primary.execute(f"ALTER SYSTEM SET wal_compression = '{compression}'")
    except Exception:
        pytest.skip(f"this server has no wal_compression = {compression}")
    primary.reload()
    wait_until(lambda: primary.value("SHOW wal_compression") == compression)
    work(primary)
    end = primary.flush_lsn()
    primary.stop()
    made = round_trip(primary, end)
    assert made["right"][0] == made["batches"]
    assert made["right"][2] > 0
    assert made["referred"] > 100
    if compression in ("pglz", "on"):
        # What a batch cuts stays as it is.
        assert made["left_compressed"] < made["raw"] / 20
    # Those with which an encoder begins in the middle of things. Within the zeros after a switch
    # that is up to the segment's end.
    assert made["plain"] <= 1 + made["batches"] // 20 or wal_segsize == 64
    if compression == "off":
        assert made["left_compressed"] == 0
        assert made["sent"] < made["raw"] / 4


def test_a_record_that_a_crash_cut(site):
    primary = site.primary(wal_segsize=1, **PREPARED)
    work(primary, rounds=2)
    start = primary.switch_wal()
    primary.execute("SELECT pg_logical_emit_message(false, 'test', repeat('m', 5000000))")
    primary.kill9()
    # As if the crash had come before the rest of the record was written.
    for name in segments(primary.pg_wal):
        if segment_start(name, primary.wal_segment_bytes) > start:
            (primary.pg_wal / name).unlink()
    primary.start()
    primary.execute("CREATE TABLE after AS SELECT generate_series(1, 1000)")
    end = primary.flush_lsn()
    primary.stop()
    infos = [data[at + 2] for data in ((primary.pg_wal / name).read_bytes()
                                       for name in segments(primary.pg_wal))
             for at in range(0, len(data), WAL_PAGE_BYTES)]
    assert any(info & XLP_FIRST_IS_OVERWRITE_CONTRECORD for info in infos)
    made = round_trip(primary, end)
    assert made["right"][0] == made["batches"]


def test_wal_of_two_timelines(site):
    primary = site.primary(wal_segsize=1, **PREPARED)
    standby = site.standby(primary, primary, "standby")
    work(primary, rounds=2)
    standby.catch_up(primary)
    primary.execute("CREATE TABLE lost AS SELECT generate_series(1, 20000)")
    fork_at_most = primary.flush_lsn()
    standby.promote()
    standby.execute("CREATE TABLE kept AS SELECT generate_series(1, 100000)")
    for _ in range(2):
        standby.execute("CHECKPOINT")
        standby.execute("UPDATE documents SET at = now()")
    end = standby.flush_lsn()
    assert standby.timeline() == 2 and end > fork_at_most
    primary.stop()
    standby.stop()
    made = round_trip(standby, end)
    assert made["right"][0] == made["batches"]
    assert round_trip(standby, end, timeline=2)["referred"] > 0
