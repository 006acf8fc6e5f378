"""The manual says what the program knows: every command, option, section and key, and nothing else."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.relay import run_cli

ROOT = Path(__file__).resolve().parents[2]
MAN = ROOT / "docker" / "man"
PAGES = [MAN / "walrelay.1", MAN / "walrelay.ini.5"]
ROW = re.compile(r'\{CONFIG_(\w+), "(\w+)",([^{}]*)\}')
# What the table leaves empty and the manual tells in words.
WORDS = {"upstream.slot": "walrelay_NAME", "relay.log_file": "standard error"}


def plain(text):
    return re.sub(r"\\f.", "", text).replace("\\-", "-")


def described_commands():
    """{command: its part of walrelay(1)}"""
    text = plain(PAGES[0].read_text(encoding="utf-8"))
    commands = text[text.index(".SH COMMANDS"):text.index(".SH OPTIONS")]
    parts = re.split(r'^\.SS "walrelay (\w+)', commands, flags=re.MULTILINE)
    found = {}
    for name, part in zip(parts[1::2], parts[2::2]):
        found[name] = found.get(name, "") + part
    return found


def described_keys():
    """{section.key: what stands in brackets behind it in walrelay.ini(5)}"""
    found = {}
    for section, body in re.findall(r'^\.SH "\[(\w+).*?\]"\n(.*?)(?=^\.SH)',
                                    plain(PAGES[1].read_text(encoding="utf-8")),
                                    re.MULTILINE | re.DOTALL):
        for key, label in re.findall(r'^\.BR (\w+) " \((.*)"$', body, re.MULTILINE):
            found[f"{section}.{key}"] = label
    return found


def table_label(section, key, row):
    """What the manual is to say of a row of relay/app/config_options.c."""
    default = re.search(r'"([^"]*)"', row)
    value = WORDS.get(f"{section}.{key}") or (default.group(1) if default else "") or "none"
    label = "required)" if "CONFIG_REQUIRED" in row else f"default: {value})"
    return label + (" *" if "CONFIG_RESTART" in row else "")


def test_every_command_and_its_options():
    named = re.findall(r"^  (\w+) ", run_cli("--help").stdout, re.MULTILINE)
    listed = [name for name in named if name != "walrelay"]
    described = described_commands()
    assert listed and sorted(described) == sorted(listed)
    text = plain(PAGES[0].read_text(encoding="utf-8"))
    common = text[text.index(".SH OPTIONS"):text.index(".SH SIGNALS")]
    for name in listed:
        options = set(re.findall(r"--[a-z-]+", run_cli(name, "--help").stdout))
        assert "--help" in options, name
        for option in options:
            assert re.search(rf"{option}(?![a-z-])", described[name] + common), f"{name} {option}"


def test_every_key_with_its_default():
    source = (ROOT / "relay" / "app" / "config_options.c").read_text(encoding="utf-8")
    table = {f"{section.lower()}.{key}": table_label(section.lower(), key, row)
             for section, key, row in ROW.findall(source)}
    assert len(table) > 60
    assert described_keys() == table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("command", ["groff -man -ww -z", "mandoc -T lint"])
def test_the_pages_are_well_formed(command, page):
    words = command.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([*words, page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
