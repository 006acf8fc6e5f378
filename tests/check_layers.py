#!/usr/bin/env python3
"""Holds every #include to the table of layers.

Usage: check_layers.py [ROOT]. Prints one line for each include that its folder may not have and
exits 1, or says nothing and exits 0. tests/support/check_selftest.py proves that it can fail.
"""
import re
import sys
from pathlib import Path

# folder: what of ours it may include besides itself. "folder/header.h" allows that one header.
MAY_INCLUDE = {
    "protocol": [],
    "base": [],
    "net": ["base"],
    "cloud": ["base"],
    "spool": ["base", "protocol/lsn.h", "protocol/crc32c.h"],
    "destination": ["base"],
    "upstream": ["base", "protocol", "net", "spool"],
    "downstream": ["base", "protocol", "net", "spool", "destination"],
    "archive": ["base", "protocol/lsn.h", "net", "spool"],
    "observe": ["base", "net", "protocol", "spool", "destination", "upstream", "downstream",
                "archive"],
    "app": ["*"],
    "cli": ["*"],
}

NETWORK = ["sys/socket.h", "netinet/", "arpa/", "netdb.h", "sys/epoll.h", "poll.h"]
# folder: foreign headers (exact, or a directory with a slash) that would break its promise.
MAY_NOT_INCLUDE = {
    "protocol": NETWORK + ["event2/", "libpq-fe.h", "sqlite3.h", "jansson.h", "curl/", "pthread.h",
                           "fcntl.h", "unistd.h", "sys/stat.h", "stdio_ext.h", "syslog.h"],
    "base": ["event2/", "libpq-fe.h", "curl/"],
    "net": ["libpq-fe.h", "sqlite3.h"],
    "cloud": ["event2/", "libpq-fe.h", "sqlite3.h"],
    "spool": NETWORK + ["event2/", "libpq-fe.h", "curl/"],
    "destination": NETWORK + ["event2/", "libpq-fe.h", "curl/"],
    "downstream": ["libpq-fe.h", "sqlite3.h"],
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def folder_of(path, root):
    """The folder whose row binds this file, and whether the file is one of its unit tests."""
    parts = path.relative_to(root).parts
    if parts[0] == "protocol":
        return "protocol", False
    if parts[0] in ("relay", "include") and len(parts) > 2:
        return parts[1], False
    if parts[:2] == ("tests", "unit") and len(parts) > 3:
        return parts[2], True
    return None, False


def is_allowed(folder, header):
    target = header.split("/")[0]
    row = MAY_INCLUDE[folder]
    return target == folder or "*" in row or target in row or header in row


def foreign_fault(folder, header):
    for banned in MAY_NOT_INCLUDE.get(folder, []):
        if header == banned or (banned.endswith("/") and header.startswith(banned)):
            return f"{folder}/ may not include <{header}>"
    return None


def own_fault(folder, is_test, header, path, root):
    if "/" not in header:
        if is_test and (path.parent / header).is_file():
            return None
        return f'"{header}" is not path-qualified'
    places = [root / "include", root / "relay", root]
    if is_test:
        places.append(root / "tests")
    if not any((place / header).is_file() for place in places):
        return f'"{header}" does not exist'
    if is_test and header.startswith(("support/", "unit/")):
        return None
    if header.split("/")[0] not in MAY_INCLUDE:
        return f'"{header}" is in no layer'
    if not is_allowed(folder, header):
        return f'{folder}/ may not include "{header}"'
    return None


def faults(root):
    for pattern in ("protocol/**/*.[ch]", "relay/**/*.[ch]", "include/**/*.[ch]",
                    "tests/unit/**/*.[ch]"):
        for path in sorted(root.glob(pattern)):
            folder, is_test = folder_of(path, root)
            name = path.relative_to(root)
            if folder not in MAY_INCLUDE:
                yield f"{name}:1: this folder is in no layer"
                continue
            text = path.read_text(encoding="utf-8")
            for found in INCLUDE.finditer(text):
                line = text.count("\n", 0, found.start(1)) + 1
                header = found.group(2)
                if found.group(1) == '"':
                    fault = own_fault(folder, is_test, header, path, root)
                else:
                    fault = None if is_test else foreign_fault(folder, header)
                if fault:
                    yield f"{name}:{line}: {fault}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    found = list(faults(root))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
