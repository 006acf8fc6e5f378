"""Random faults under load, one after the other; after each, everybody catches up and is compared.
The seed is printed; WALRELAY_DRILL_SEED repeats a run."""
import os
import random

import pytest

from support.load import assert_same_rows
from support.wait import wait_until
from support.wal import assert_same_wal


class Drill:
    def __init__(self, site, seed):
        self.random = random.Random(seed)
        self.site = site
        self.primary = site.primary(wal_segsize=1, wal_keep_size="512MB")
        self.relay = site.relay(self.primary, spool={"retain_size": "128MB"})
        self.standbys = [site.standby(self.primary, self.relay, name)
                         for name in ("standby1", "standby2")]
        self.loads = 0

    def kill_relay(self):
        self.relay.kill9()
        self.relay.start()

    def restart_relay(self):
        self.relay.stop()
        self.relay.start()

    def replace_relay(self):
        import signal
        before = self.relay.metric("upstream_connected")
        self.relay.send(signal.SIGUSR2)
        wait_until(lambda: before and self.relay.is_ready())

    def kill_standby(self):
        victim = self.random.choice(self.standbys)
        victim.kill9()
        victim.start()

    def kill_primary(self):
        self.primary.kill9()
        self.primary.start()

    def stop_primary(self):
        self.primary.restart()

    def freeze_standby(self):
        victim = self.random.choice(self.standbys)
        victim.disconnect()
        victim.freeze()
        self.write_some()
        victim.thaw()

    def freeze_relay(self):
        self.relay.freeze()
        self.write_some()
        self.relay.thaw()

    def cut_connections(self):
        self.primary.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             "WHERE backend_type = 'walsender'")

    def write_some(self):
        target = self.primary.insert_lsn() + (self.random.randrange(100, 3000) << 10)
        wait_until(lambda: self.primary.insert_lsn() > target, 180, "the load to write")

    def round(self):
        load = self.site.pgbench(self.primary, init=self.loads == 0, name=f"pgbench{self.loads}")
        self.loads += 1
        self.write_some()
        fault = self.random.choice([
            self.kill_relay, self.restart_relay, self.replace_relay, self.kill_standby,
            self.kill_primary, self.stop_primary, self.freeze_standby, self.freeze_relay,
            self.cut_connections])
        print(f"drill {self.loads}: {fault.__name__}")
        fault()
        if load.is_running:
            self.write_some()
        load.stop()
        self.compare()

    def compare(self):
        self.relay.wait_ready()
        end = self.primary.switch_wal()
        self.relay.wait_flushed(end)
        for standby in self.standbys:
            standby.catch_up(self.primary)
            assert_same_rows(self.primary, standby)
        assert_same_wal(self.relay.spool, self.primary.pg_wal, end, 1 << 20)
        self.relay.check_log()


@pytest.mark.timeout(7200)
def test_drill(site, request):
    seed = os.environ.get("WALRELAY_DRILL_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"WALRELAY_DRILL_SEED={seed}")
    drill = Drill(site, seed)
    for _ in range(request.config.getoption("--drill-rounds") or 3):
        drill.round()
