"""Standbys seeded through an edge and its hub: several at once, which share nothing but the cap, and WAL goes
before them inside it."""
import subprocess

from support.load import assert_same_rows, pgbench_init, write_wal
from support.postgres import Postgres
from support.process import Process
from support.wait import wait_until

MB = 1 << 20
MBIT = 1_000_000 // 8


def hub_and_edge(site, primary, **destination):
    hub = site.relay(primary, "hub", **{
        "destination west": {"match": "address 127.0.0.1/32", **destination}})
    return hub, site.relay(hub, "edge")


def test_several_base_backups_at_once(site):
    """Under a load; each becomes a standby behind the edge, and no one's end is another's."""
    primary = site.primary()
    pgbench_init(primary, scale=2)
    hub, edge = hub_and_edge(site, primary)
    load = site.pgbench(primary, init=False, rate=50)
    names = ["one", "two", "three", "four"]
    standbys = [site.add(Postgres(name, site.directory / name, site.bin_dir)) for name in names]
    backups = []
    for number, standby in enumerate(standbys):
        client = site.add(Process(f"backup_{standby.name}", site.directory / f"backup_{standby.name}"))
        client.spawn([site.client_bin / "pg_basebackup", "-D", standby.data, "-R", "-c", "fast", "--no-sync",
                      "-X", "stream" if number % 2 else "fetch", "-d",
                      edge.conninfo(application_name=standby.name)])
        backups.append(client)
    # One of them dies on the way.
    victim = site.add(Process("victim", site.directory / "victim"))
    victim.spawn([site.client_bin / "pg_basebackup", "-D", "data", "-c", "fast", "--no-sync", "-r", "1M",
                  "-X", "none", "-d", edge.conninfo(application_name="victim")])
    wait_until(lambda: any(each["state"] == "backup" for each in hub.status()["standbys"]))
    victim.kill9()
    for client in backups:
        assert client.process.wait(120) == 0, client.log_text()
    load.stop()
    for standby in standbys:
        standby.configure()
        standby.start()
    for standby in standbys:
        standby.catch_up(primary)
        assert_same_rows(primary, standby)
    wait_until(lambda: primary.walsenders() == ["hub"], what="the backups' connections to be gone")


def test_wal_goes_before_a_backup_on_the_way_to_an_edge(site):
    """A cap on the WAN, all of which a backup would take: the edge's WAL comes as if it were not there."""
    primary = site.primary()
    pgbench_init(primary, scale=3)
    hub, edge = hub_and_edge(site, primary)
    standby = site.standby(primary, edge, "standby")
    standby.catch_up(primary)
    hub.configure("destination west", rate_cap="4Mbit/s").reload()
    client = site.add(Process("backup", site.directory / "backup"))
    client.spawn([site.client_bin / "pg_basebackup", "-D", "data", "-c", "fast", "--no-sync", "-X", "none",
                  "-d", edge.conninfo(application_name="copy")])

    def sent():
        return hub.metric("destination_wire_bytes_total", destination="west")
    begun = sent()
    wait_until(lambda: sent() > begun + MBIT, 60, what="the backup to take the cap")
    for _ in range(3):
        write_wal(primary, 1)
        standby.catch_up(primary, deadline=20)
    assert client.is_running, "it was still on its way"
    assert_same_rows(primary, standby, ["filler"])
    hub.configure("destination west", rate_cap=None).reload()
    assert client.process.wait(120) == 0, client.log_text()


def test_a_backup_comes_from_the_server_that_is_followed(site):
    """A stale primary comes first in the list and takes writes; a standby seeded through the relay is of
    the new one."""
    primary = site.primary()
    second = site.standby(primary, primary, "second")
    ports = f"{primary.port},{second.port}"
    relay = site.relay(f"host=127.0.0.1,127.0.0.1 port={ports} user=postgres target_session_attrs=read-write")
    second.catch_up(primary)
    primary.stop()
    second.promote()
    second.execute("CREATE TABLE ours AS SELECT 1 AS a")
    relay.wait_flushed(second.flush_lsn())
    primary.start()
    primary.execute("CREATE TABLE stray AS SELECT 1 AS a")
    standby = site.add(Postgres("standby", site.directory / "standby", site.bin_dir))
    standby.basebackup(relay.conninfo(application_name="standby"), "-R")
    standby.start()
    standby.catch_up(second)
    assert_same_rows(second, standby, ["ours"])
    assert standby.value("SELECT to_regclass('stray') IS NULL")
