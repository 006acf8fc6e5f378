"""`walrelay status --watch`: in a terminal, in one that can do little, and in a pipe."""
import json
import re
import signal
import subprocess

import pytest

from support.relay import binary
from support.terminal import Terminal
from support.wait import holds_for, wait_until


@pytest.fixture(name="relay")
def followed_relay(site):
    relay = site.relay(site.primary())
    site.receivewal(relay, "receivewal")
    return relay


def watch(relay, **options):
    return Terminal([binary(), "status", "--watch", "--url",
                     f"http://127.0.0.1:{relay.http_port}"], **options)


def told_time(text):
    return re.search(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text).group()


def test_it_redraws_in_place_and_fits_the_terminal(relay):
    terminal = watch(relay, columns=150, rows=30)
    first = wait_until(lambda: "receivewal" in terminal.text() and terminal.text())
    assert terminal.is_alternate and not terminal.has_cursor
    assert re.search(r"^upstream +streaming 127.0.0.1:", first, re.MULTILINE)
    wait_until(lambda: told_time(terminal.text()) != told_time(first))
    assert b"\x1b[2J" not in terminal.raw, "cleared first, it would flicker"

    terminal.resize(40, 8)
    wait_until(lambda: "more lines" in terminal.text())
    assert all(len(line) <= 40 for line in terminal.screen)
    terminal.resize(150, 30)
    wait_until(lambda: "receivewal" in terminal.text() and "more lines" not in terminal.text())

    terminal.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: terminal.text() and not terminal.is_alternate and terminal.has_cursor)
    terminal.process.send_signal(signal.SIGCONT)
    wait_until(lambda: terminal.text() and terminal.is_alternate)
    assert terminal.end(signal.SIGINT) == -signal.SIGINT
    assert not terminal.is_alternate and terminal.has_cursor, "left as it was"


def test_it_says_when_the_relay_is_gone(relay):
    terminal = watch(relay, columns=150)
    wait_until(lambda: "receivewal" in terminal.text())
    relay.stop()
    wait_until(lambda: re.search("NO ANSWER: .*\n.*\nWhat follows is .* old", terminal.text()))
    assert "receivewal" in terminal.text(), "what was seen last stays"
    relay.start()
    wait_until(lambda: "NO ANSWER" not in terminal.text())
    assert terminal.end(signal.SIGTERM) == -signal.SIGTERM


def test_a_dumb_terminal_gets_one_text_after_the_other(relay):
    terminal = watch(relay, term="dumb", columns=40)
    wait_until(lambda: (terminal.read() or True) and terminal.raw.count(b"upstream  ") >= 2)
    assert b"\x1b" not in terminal.raw
    terminal.end()


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_pipe_gets_whole_texts_and_its_end_is_the_end(relay, arguments):
    command = [binary(), "status", "--watch", *arguments, "--url",
               f"http://127.0.0.1:{relay.http_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if arguments:
            lines = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert [each["name"] for each in lines] == ["relay", "relay"]
            assert lines[0]["time"] < lines[1]["time"]
        else:
            lines = [process.stdout.readline() for _ in range(14)]
            assert b"\x1b" not in b"".join(lines)
            assert any(line.startswith(b"receivewal") for line in lines)
        process.stdout.close()
        assert process.wait(30) == -signal.SIGPIPE


def test_a_relay_that_is_not_there_yet_is_waited_for(site):
    relay = site.relay("host=127.0.0.1 port=1 user=nobody", start=False)
    terminal = watch(relay)
    wait_until(lambda: "NO ANSWER: could not ask the relay" in terminal.text())
    holds_for(lambda: terminal.process.poll() is None, 0.3)
    relay.start(wait=False)
    wait_until(lambda: re.search("^relay +walrelay", terminal.text(), re.MULTILINE))
    terminal.end()
