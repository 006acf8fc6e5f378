#!/usr/bin/env python3
"""Holds files to their size and shape.

Usage: check_sizes.py [ROOT]. A function has at most 70 lines, a file at most 600; a C file begins
with a comment that says what it owns; a unit test stands where its source stands. Prints one line
for each fault and exits 1, or says nothing and exits 0. tests/support/check_selftest.py proves that
it can fail.
"""
import ast
import re
import subprocess
import sys
from pathlib import Path

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
SOURCE_FOLDERS = ("protocol", "relay", "include")
# Spelled so that this file does not match itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def c_functions(lines):
    """Yields (line, name, length): a K&R function has its braces alone in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = number
            while start > 1 and is_signature(lines[start - 2]):
                start -= 1
        elif line.startswith("}") and start:
            name = re.search(r"(\w+)\s*\(", " ".join(lines[start - 1:number]))
            yield start, name.group(1) if name else "?", number - start + 1
            start = None


def is_signature(line):
    return bool(line.strip()) and not line.startswith(("#", "}", "/*", " *", "//")) \
        and not line.rstrip().endswith((";", "*/"))


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.name, node.end_lineno - node.lineno + 1


def shell_functions(lines):
    start = None
    for number, line in enumerate(lines, 1):
        found = re.match(r"(\w+)\s*\(\)\s*\{", line)
        if found:
            start = number, found.group(1)
        elif line.startswith("}") and start:
            yield start[0], start[1], number - start[0] + 1
            start = None


def language_of(path, text):
    if path.suffix in (".c", ".h"):
        return "c"
    first = text.split("\n", 1)[0]
    if path.suffix == ".py" or re.match(r"#!.*\bpython3?\b", first):
        return "python"
    if path.suffix == ".sh" or re.match(r"#!.*\b(ba)?sh\b", first):
        return "shell"
    return None


def size_faults(language, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield 1, f"{len(lines)} lines, at most {FILE_LINES_MAX}"
    functions = {"c": lambda: c_functions(lines), "python": lambda: python_functions(text),
                 "shell": lambda: shell_functions(lines)}[language]()
    for line, name, length in functions:
        if length > FUNCTION_LINES_MAX:
            yield line, f"function {name} has {length} lines, at most {FUNCTION_LINES_MAX}"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "a mark of unfinished work"


def shape_fault(path, text, root):
    """What its place demands of a C file."""
    parts = path.relative_to(root).parts
    if parts[0] in SOURCE_FOLDERS and not text.startswith("/*"):
        return "does not begin with a comment that says what it owns"
    if parts[:2] == ("tests", "unit") and path.name.startswith("test_"):
        folder = root / ("protocol" if parts[2] == "protocol" else f"relay/{parts[2]}")
        words = path.stem.removeprefix("test_").split("_")
        # test_wal_store_recovery.c tests wal_store.c as well as wal_store_recovery.c would be.
        stems = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
        headers = root / "include" / parts[2]
        if not any((folder / f"{stem}.c").is_file() or (headers / f"{stem}.h").is_file()
                   for stem in stems):
            return f"tests no file of {folder.relative_to(root)}/"
    return None


def tracked_files(root):
    """What git knows or would take; every file where there is no git (a release, a scratch copy)."""
    listed = subprocess.run(["git", "-C", root, "-c", f"safe.directory={root}", "ls-files", "-co",
                             "--exclude-standard", "-z"], capture_output=True, check=False)
    if listed.returncode == 0:
        names = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = [path for path in root.rglob("*") if not any(
            part.startswith((".git", "build", "__pycache__"))
            for part in path.relative_to(root).parts)]
    return sorted(path for path in names if path.is_file() and not path.is_symlink())


def faults(root):
    for path in tracked_files(root):
        if "corpus" in path.parts:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(root)
        language = language_of(path, text)
        if language is None:
            continue
        for line, fault in size_faults(language, text):
            yield f"{name}:{line}: {fault}"
        if language == "c":
            fault = shape_fault(path, text, root)
            if fault:
                yield f"{name}:1: {fault}"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    found = list(faults(root))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
