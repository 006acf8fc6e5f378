"""The relay passes WAL on before it has it on disk, so after a crash a standby may be ahead of it."""
import shutil

from support.load import assert_same_rows, write_wal
from support.wait import wait_until


def test_a_standby_ahead_of_the_relay_waits_and_goes_on(site):
    """The relay's data directory is put back to an earlier state, which is what power loss does."""
    primary = site.primary()
    relay = site.relay(primary)
    standby = site.standby(primary, relay, "standby")
    standby.catch_up(primary)
    relay.stop()
    shutil.copytree(relay.data_dir, site.directory / "earlier")
    relay.start()
    write_wal(primary, 3)
    standby.catch_up(primary)

    # It comes back without what the standby has, and the primary is not there to ask.
    relay.kill9()
    primary.stop()
    shutil.rmtree(relay.data_dir)
    (site.directory / "earlier").rename(relay.data_dir)
    relay.start(wait=False)
    wait_until(lambda: relay.get("/healthz")[0] == 200)
    assert relay.flushed_lsn() < standby.replay_lsn()
    wait_until(lambda: relay.standby_count() == 1, what="the standby to be let in")
    primary.start()
    relay.wait_ready()
    write_wal(primary, 1)
    standby.catch_up(primary)
    assert_same_rows(primary, standby, ["filler"])
