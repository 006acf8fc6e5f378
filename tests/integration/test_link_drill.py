"""Cuts, joins, restarts and limits of reach at random, between a hub, two edges and a leaf behind
one of them; after each, everybody holds the primary's bytes. The seed is printed;
WALRELAY_DRILL_SEED repeats a run, --drill-rounds makes it longer."""
import os
import random
import shutil
import signal

import pytest

from support.load import write_wal
from support.wait import wait_until
from support.wal import assert_same_spools

KEEP = {"retain_size": "48MB"}
REFERENCES = ("1MB", "8MB", "2GB")


class Drill:
    def __init__(self, site, proxy, seed):
        self.random = random.Random(seed)
        self.site = site
        self.primary = site.primary(wal_segsize=1, wal_keep_size="20GB",
                                    wal_compression=self.random.choice(["off", "on", "lz4"]))
        self.hub = site.relay(self.primary, "hub", spool=KEEP)
        self.paths = [proxy(self.hub), proxy(self.hub)]
        self.edges = [self.follow(f"edge{number}", path)
                      for number, path in enumerate(self.paths)]
        self.leaf = self.follow("leaf", self.edges[0])
        self.load = site.pgbench(self.primary)

    def follow(self, name, source):
        upstream = source if hasattr(source, "spool") else source.conninfo()
        return self.site.relay(upstream, name, spool=KEEP, upstream={"start": "oldest"},
                               link={"lanes": self.random.choice(["auto", 1, 3])})

    def cut(self):
        for _ in range(3):
            self.random.choice(self.paths).cut()
            self.write_some()

    def flip(self):
        path = self.random.choice(self.paths)
        wanted = path.flipped + 2
        path.flip(2)
        wait_until(lambda: path.flipped >= wanted, what="flips")

    def kill(self):
        victim = self.random.choice([self.hub, self.leaf, *self.edges])
        victim.kill9()
        victim.start()

    def kill_two(self):
        for victim in self.random.sample([self.hub, self.leaf, *self.edges], 2):
            victim.kill9()
            self.write_some()
            victim.start(wait=False)

    def replace(self):
        self.random.choice([self.hub, self.leaf, *self.edges]).send(signal.SIGUSR2)

    def join_anew(self):
        victim = self.random.choice([self.leaf, *self.edges])
        victim.kill9()
        shutil.rmtree(victim.data_dir)
        victim.start()

    def change_reach(self):
        victim = self.random.choice([self.hub, self.leaf, *self.edges])
        victim.configure("link", reference=self.random.choice(REFERENCES))
        victim.stop()
        victim.start()

    def shrink(self):
        """Announced while the stream goes on, and taken back at the next fault of this kind."""
        victim = self.random.choice([self.leaf, *self.edges])
        is_small = victim.sections["spool"].get("max_size") == "16MB"
        victim.configure("spool", max_size="8GB" if is_small else "16MB").reload()

    def recompress(self):
        victim = self.random.choice([self.hub, *self.edges])
        victim.configure("link", recompress=self.random.choice(["on", "off"]))
        victim.stop()
        victim.start()

    def kill_primary(self):
        self.load.terminate()
        self.primary.kill9()
        self.primary.start()
        self.load.start()

    def write_some(self):
        target = self.primary.insert_lsn() + (self.random.randrange(50, 1000) << 10)
        wait_until(lambda: self.primary.insert_lsn() > target, 120, "the load to write")

    def round(self):
        self.primary.execute("CHECKPOINT")
        write_wal(self.primary, self.random.randrange(4))
        self.write_some()
        fault = self.random.choice([
            self.cut, self.flip, self.kill, self.kill_two, self.replace, self.join_anew,
            self.change_reach, self.shrink, self.recompress, self.kill_primary])
        print(f"drill of the link: {fault.__name__}")
        fault()
        self.write_some()
        assert_same_spools(self.primary, self.hub, *self.edges, self.leaf)
        for relay in (*self.edges, self.leaf):
            assert relay.metric("link_upstream_version") == 1
            relay.check_log()


@pytest.mark.timeout(7200)
def test_drill_of_the_link(site, proxy, request):
    seed = os.environ.get("WALRELAY_DRILL_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"WALRELAY_DRILL_SEED={seed}")
    drill = Drill(site, proxy, seed)
    for _ in range(request.config.getoption("--drill-rounds") or 5):
        drill.round()
    drill.load.stop()
