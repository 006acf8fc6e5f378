#!/usr/bin/env python3
"""Reads how a release binary is protected against its own mistakes.

Usage: check_hardening.py BINARY. It must be position-independent, with its relocations read-only and
bound at the start, no page that is both written and executed, no stack that is executed, no place
where libraries are looked for but the system's, stack protector and FORTIFY in use. Prints one line
for each fault and exits 1, or says nothing and exits 0. tests/support/check_selftest.py proves that it
can fail.
"""
import re
import subprocess
import sys


def readelf(option, binary):
    return subprocess.run(["readelf", "-W", option, binary], capture_output=True, text=True,
                          check=True).stdout


def segments(binary):
    """(type, flags) of each."""
    line = re.compile(r"^  ([A-Z]\w+)\s+(?:0x\w+\s+){5}([RWE ]{3})", re.MULTILINE)
    return line.findall(readelf("-l", binary))


def imports(binary):
    """Names of the functions that it takes from libraries."""
    return set(re.findall(r"FUNC\s+GLOBAL\s+DEFAULT\s+UND\s+(\w+)", readelf("--dyn-syms", binary)))


def faults(binary):
    dynamic = readelf("-d", binary)
    kinds = segments(binary)
    flags_1 = re.search(r"\(FLAGS_1\).*", dynamic)
    if flags_1 is None or "PIE" not in flags_1.group():
        yield "is not position-independent"
    if "GNU_RELRO" not in dict(kinds):
        yield "has relocations that stay writable"
    if not re.search(r"\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*NOW|\(BIND_NOW\)", dynamic):
        yield "binds its symbols late, so that their table stays writable"
    if "E" in dict(kinds).get("GNU_STACK", "E"):
        yield "has a stack that can be executed"
    if any(kind == "LOAD" and "W" in flags and "E" in flags for kind, flags in kinds):
        yield "has pages that are both written and executed"
    if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
        yield "names places of its own to look for libraries in"
    names = imports(binary)
    if "__stack_chk_fail" not in names:
        yield "has no stack protector"
    if not any(re.fullmatch(r"__\w+_chk", name) for name in names):
        yield "is built without _FORTIFY_SOURCE"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(faults(sys.argv[1]))
    for fault in found:
        print(f"{sys.argv[1]} {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
