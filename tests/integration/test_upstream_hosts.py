"""Several hosts in one conninfo, and upstreams that fall silent."""
import signal

from support.ports import free_port
from support.process import children_of, signal_all
from support.wait import wait_until


def hosts(*ports, **parameters):
    more = " ".join(f"{key}={value}" for key, value in parameters.items())
    return (f"host={','.join(['127.0.0.1'] * len(ports))} port={','.join(map(str, ports))} "
            f"user=postgres {more}")


def test_a_host_that_refuses_is_passed_over(site):
    primary = site.primary()
    relay = site.relay(hosts(free_port(), primary.port))
    relay.wait_flushed(primary.flush_lsn())
    assert primary.walsenders() == ["relay"]


def test_the_writable_one_is_found_and_found_again(site):
    primary = site.primary()
    standby = site.standby(primary, primary, "standby")
    relay = site.relay(hosts(standby.port, primary.port, target_session_attrs="read-write"))
    assert primary.walsenders() == ["relay", "standby"]
    assert standby.walsenders() == []

    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby.catch_up(primary)
    primary.stop()
    standby.promote()
    relay.wait_ready()
    assert standby.walsenders() == ["relay"]
    standby.execute("CREATE TABLE u AS SELECT 1 AS a")
    relay.wait_flushed(standby.flush_lsn())
    assert relay.metric("timeline") == 2


def walsender_of(primary):
    return primary.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'")


def test_a_silent_upstream_is_asked_and_then_given_up(site):
    primary = site.primary(wal_sender_timeout="2s")
    relay = site.relay(primary, upstream={"wal_receiver_timeout": "2s"})
    # Idle for longer than the timeout: the questions are answered.
    before = relay.log_size()
    end = primary.flush_lsn()
    pid = walsender_of(primary)
    wait_until(lambda: primary.value(
        "SELECT now() - backend_start > '5s' FROM pg_stat_activity WHERE pid = %s", pid))
    assert walsender_of(primary) == pid
    assert "WARNING" not in relay.log_text(before)

    signal_all([pid], signal.SIGSTOP)
    try:
        relay.wait_for_log("WARNING.*no message from the upstream for", before)
        wait_until(lambda: relay.get("/readyz")[0] == 503)
        assert relay.flushed_lsn() >= end
    finally:
        signal_all([pid], signal.SIGCONT)
    relay.wait_ready()
    primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    relay.wait_flushed(primary.flush_lsn())
    assert pid not in children_of(primary.pid)
