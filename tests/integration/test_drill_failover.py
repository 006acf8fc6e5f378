"""The primary is killed under a load of synchronous commits through the hub, and a standby takes its
place: no commit that a client was told of is missing, and everybody follows, unedited. Relays are
killed shortly before or after. The seed is printed; WALRELAY_DRILL_SEED repeats a run."""
import os
import random
import re
import shutil
import statistics
import subprocess
import time

import pytest

from support.console import order, show
from support.load import TABLES, assert_same_rows
from support.relay import binary, run_cli
from support.replication import command
from support.wait import wait_until
from support.wal import assert_same_wal
from support.writers import TABLE, Writers, hosts

MB = 1 << 20
SERVERS = 4
WHY_NOT = ("SELECT pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text, "
           "current_setting('primary_conninfo'), current_setting('primary_slot_name'), "
           "(SELECT row(r)::text FROM pg_stat_wal_receiver r)")
ADMIN = {"admin_users": "ops"}
PAST_THE_FORK = "requested starting point .* is not in this server's history"


def seeded():
    seed = os.environ.get("WALRELAY_DRILL_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"WALRELAY_DRILL_SEED={seed}")
    return random.Random(seed)


def wait_until_drained(relay):
    wait_until(lambda: "\ndrained: yes\n" in run_cli("status", "-c", relay.config_file).stdout, 120,
               f"{relay.name} to be drained")


class FailoverDrill:
    """hub <- edge; a primary, two standbys behind the hub, one behind the edge."""

    def __init__(self, site):
        self.random = seeded()
        self.site = site
        self.servers = [site.primary("server0", wal_segsize=1, wal_log_hints="on",
                                     synchronous_standby_names="hub")]
        self.primary = self.servers[0]
        self.hub = site.relay(self.primary, "hub", start=False, relay=ADMIN)
        self.edge = site.relay(self.hub, "edge", start=False, relay=ADMIN)
        self.place = {}
        for number in range(1, SERVERS):
            relay = self.hub if number < SERVERS - 1 else self.edge
            server = site.standby(self.primary, relay, f"server{number}", f"server{number}",
                                  start=False)
            self.servers.append(server)
            self.place[server] = relay
        self.hub.configure("upstream", conninfo=hosts(self.servers)).start()
        self.edge.start()
        for server, relay in self.place.items():
            self.join(server, relay)
        self.primary.execute(f"CREATE TABLE {TABLE} (client int, number bigint)")
        self.writers = Writers(self.servers)
        self.loads = 0
        self.rounds = 0
        self.writes_after = []
        self.followed_after = []

    def join(self, server, relay):
        command(relay, f'CREATE_REPLICATION_SLOT "{server.name}" PHYSICAL RESERVE_WAL')
        server.follow(relay.conninfo(application_name=server.name), server.name)
        server.start()
        self.place[server] = relay

    def start_load(self):
        self.loads += 1
        return self.site.pgbench(self.primary, init=self.loads == 1, name=f"pgbench{self.loads}")

    # --- what breaks ---

    def pause(self):
        time.sleep(self.random.random() ** 2)

    def break_things(self):
        """The primary, and perhaps relays before or after it; what was killed, and when it was."""
        victims = [relay for relay in (self.hub, self.edge) if self.random.random() < 0.4]
        victims.insert(self.random.randint(0, len(victims)), self.primary)
        down = []
        for number, victim in enumerate(victims):
            if number > 0:
                self.pause()
            victim.kill9()
            if victim is self.primary:
                killed = time.monotonic()
            elif self.random.random() < 0.5:
                victim.start(wait=False)
            else:
                down.append(victim)
        for relay in down:
            self.pause()
            relay.start(wait=False)
        return [victim.name for victim in victims], killed

    # --- what an operator does ---

    def choose(self):
        wait_until_drained(self.hub)
        ranked = show(self.hub, "PROMOTION")
        assert ranked[0]["rank"] == 1 and ranked[0]["drained"], ranked
        as_good = [row["application_name"] for row in ranked
                   if row["rank"] and row["flush_lsn"] == ranked[0]["flush_lsn"]]
        name = self.random.choice(as_good)
        return next(server for server in self.servers if server.name == name)

    def promote(self, server):
        server.promote()
        old, self.primary = self.primary, server
        relay = self.place.pop(server)
        wait_until(lambda: order(relay, f"DROP SLOT {server.name}"), 60, "its slot to be free")
        return old, relay

    def rewind(self, server, relay):
        self.primary.execute("CHECKPOINT")
        restore = f"{binary()} fetch -d \"{relay.conninfo()}\" %f %p"
        server.configure(restore_command=f"'{restore}'")
        done = subprocess.run(
            [server.bin_dir / "pg_rewind", "-c", "-D", server.data, "--source-server",
             self.primary.conninfo(dbname="postgres")], capture_output=True, text=True, timeout=120,
            check=False)
        assert done.returncode == 0, done.stderr
        server.configure(restore_command="''")

    def back_up(self, server, relay):
        shutil.rmtree(server.data)
        server.basebackup(relay.conninfo())

    def bring_back(self, server, relay):
        way = self.random.choice([self.rewind, self.back_up])
        way(server, relay)
        self.join(server, relay)
        return way.__name__

    # --- who follows ---

    def has_followed(self, server, since):
        """Replayed what the primary wrote first; one that had run past the fork is rewound."""
        if re.search(PAST_THE_FORK, server.log_text(since[server])):
            server.stop()
            self.rewind(server, self.place[server])
            server.follow(self.place[server].conninfo(application_name=server.name), server.name)
            server.start()
            since[server] = server.log_size()
            self.rewound += 1
        return server.value(f"SELECT count(*) FROM {TABLE} WHERE client = %s AND number = %s",
                            *self.first[:2]) == 1

    def wait_for_followers(self, since):
        following = set()

        def all_follow():
            following.update(server for server in since
                             if server not in following and self.has_followed(server, since))
            return len(following) == len(since)
        try:
            wait_until(all_follow, 120, "the standbys to follow")
        except AssertionError as late:
            raise AssertionError("\n".join(
                f"{server.name} does not follow: {server.execute(WHY_NOT)}"
                for server in since if server not in following)) from late

    def compare(self):
        end = self.primary.switch_wal()
        timeline = f"{int(self.hub.metric('timeline')):08X}"
        for relay in (self.hub, self.edge):
            relay.wait_flushed(end)
            assert_same_wal(relay.spool, self.primary.pg_wal, end, MB, prefix=timeline)
            relay.check_log()
        for server in self.place:
            server.catch_up(self.primary)
            assert_same_rows(self.primary, server, [*TABLES, TABLE])
        missing = self.writers.missing_on(self.primary)
        assert not missing, f"{len(missing)} acknowledged commits are lost: {missing[:5]}"

    def round(self):
        self.rounds += 1
        self.rewound = 0
        self.start_load()
        self.writers.start()
        target = self.primary.insert_lsn() + (self.random.randrange(50, 2000) << 10)
        wait_until(lambda: self.primary.insert_lsn() > target, 180, "the load to write")
        victims, killed = self.break_things()
        print(f"failover {self.rounds}: {', then '.join(victims)} killed", flush=True)
        chosen = self.choose()
        since = {server: server.log_size() for server in self.place if server is not chosen}
        old, relay = self.promote(chosen)
        self.first = wait_until(lambda: self.writers.first_after(killed, chosen), 120, "writes")
        load = self.start_load()
        self.wait_for_followers(since)
        followed = time.monotonic()
        way = self.bring_back(old, relay)
        old.catch_up(self.primary)
        load.stop()
        self.writers.stop()
        self.compare()
        self.writes_after.append(self.first.at - killed)
        self.followed_after.append(followed - killed)
        print(f"failover {self.rounds}: {chosen.name} promoted, 0 of {len(self.writers.commits)} "
              f"commits lost, {self.writes_after[-1]:.1f} s to the first write, "
              f"{self.followed_after[-1]:.1f} s to the last standby"
              f"{f', {self.rewound} past the fork' if self.rewound else ''}; {way}", flush=True)

    def figures(self):
        def of(seconds):
            return f"{statistics.median(seconds):.1f} s ({max(seconds):.1f} at most)"
        return (f"{self.rounds} failovers: 0 of {len(self.writers.commits)} acknowledged commits "
                f"lost; from kill -9 to the first write {of(self.writes_after)}, to the last "
                f"standby following {of(self.followed_after)}")


@pytest.mark.timeout(7200)
def test_drill_of_failing_over(site, request, record_property):
    drill = FailoverDrill(site)
    for _ in range(request.config.getoption("--drill-rounds") or 1):
        drill.round()
    record_property("figures", drill.figures())


def test_drill_of_a_lost_region(site, record_property):
    """The primary, the hub and all that is beside them, at once. The hub acknowledges what the edge
    has flushed too, so the standbys behind the edge are enough."""
    moment = seeded()
    primary = site.primary("primary", wal_segsize=1, synchronous_standby_names="'hub, edge'")
    hub = site.relay(primary, "hub", relay=ADMIN,
                     upstream={"acknowledge": "standbys 1", "acknowledge_timeout": "1h"})
    edge = site.relay(hub, "edge", start=False, relay=ADMIN)
    one, two = (site.standby(primary, edge, name, start=False) for name in ("one", "two"))
    edge.configure("upstream", conninfo=hosts([hub, one, two])).start()
    for standby in (one, two):
        standby.start()
    primary.execute(f"CREATE TABLE {TABLE} (client int, number bigint)")
    writers = Writers([primary, one, two]).start()
    load = site.pgbench(primary)
    target = primary.insert_lsn() + (moment.randrange(50, 2000) << 10)
    wait_until(lambda: primary.insert_lsn() > target, 180, "the load to write")

    # The edge is away at the end: what it does not have is not acknowledged.
    edge.kill9()
    time.sleep(moment.random())
    for victim in moment.sample([primary, hub], 2):
        victim.kill9()
    killed = time.monotonic()
    edge.start(wait=False)
    load.stop()
    wait_until_drained(edge)
    best = show(edge, "PROMOTION")[0]
    assert best["rank"] == 1 and best["drained"], best
    chosen, other = (one, two) if best["application_name"] == "one" else (two, one)
    chosen.promote()
    first = wait_until(lambda: writers.first_after(killed, chosen), 120, "writes")
    other.catch_up(chosen)
    followed = time.monotonic()
    writers.stop()
    other.catch_up(chosen)
    assert_same_rows(chosen, other, [*TABLES, TABLE])
    missing = writers.missing_on(chosen)
    assert not missing, f"{len(missing)} acknowledged commits are lost: {missing[:5]}"
    record_property("figures", f"a lost region: 0 of {len(writers.commits)} acknowledged commits lost; "
                    f"from kill -9 to the first write {first.at - killed:.1f} s, to the other "
                    f"standby following {followed - killed:.1f} s")
