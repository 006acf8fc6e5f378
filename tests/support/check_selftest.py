#!/usr/bin/env python3
"""Shows that check_layers.py, check_sizes.py and check_hardening.py find what they are there for, and
only that."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import check_hardening  # noqa: E402
import check_layers  # noqa: E402
import check_sizes  # noqa: E402

HEADERS = ["protocol/lsn.h", "protocol/crc32c.h", "protocol/wire.h", "base/log.h", "net/loop.h",
           "spool/slots.h", "upstream/upstream.h", "downstream/downstream.h", "app/config.h"]


class Tree(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name).resolve()
        for header in HEADERS:
            self.write(f"include/{header}", "/* a header */\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class Layers(Tree):
    def check(self, name, include, fault):
        self.write(name, f"/* a file */\n#include {include}\n")
        found = list(check_layers.faults(self.root))
        (self.root / name).unlink()
        expected = [f"{name}:2: {fault}"] if fault else []
        self.assertEqual(found, expected, f"{name} includes {include}")

    def test_what_the_table_allows(self):
        for name, header in [
                ("relay/net/a.c", "base/log.h"), ("relay/spool/a.c", "protocol/lsn.h"),
                ("relay/spool/a.c", "protocol/crc32c.h"), ("relay/spool/a.c", "spool/slots.h"),
                ("relay/upstream/a.c", "protocol/wire.h"), ("relay/downstream/a.c", "net/loop.h"),
                ("relay/observe/a.c", "upstream/upstream.h"), ("relay/app/a.c", "net/loop.h"),
                ("relay/cli/a.c", "app/config.h"), ("protocol/a.c", "protocol/wire.h"),
                ("tests/unit/spool/test_a.c", "base/log.h")]:
            self.check(name, f'"{header}"', None)
        self.check("protocol/a.c", "<string.h>", None)
        self.check("tests/unit/protocol/test_a.c", "<unistd.h>", None)

    def test_what_it_refuses(self):
        for name, header in [
                ("protocol/a.c", "base/log.h"), ("relay/base/a.c", "net/loop.h"),
                ("relay/net/a.c", "spool/slots.h"), ("relay/spool/a.c", "protocol/wire.h"),
                ("relay/spool/a.c", "net/loop.h"), ("relay/upstream/a.c", "downstream/downstream.h"),
                ("relay/downstream/a.c", "upstream/upstream.h"), ("include/spool/a.h", "net/loop.h"),
                ("relay/observe/a.c", "app/config.h"), ("tests/unit/base/test_a.c", "net/loop.h")]:
            folder = name.split("/")[2 if name.startswith("tests") else 0 if
                                     name.startswith("protocol") else 1]
            self.check(name, f'"{header}"', f'{folder}/ may not include "{header}"')
        self.check("protocol/a.c", "<sys/socket.h>", "protocol/ may not include <sys/socket.h>")
        self.check("relay/spool/a.c", "<event2/event.h>",
                   "spool/ may not include <event2/event.h>")
        self.check("relay/net/a.c", '"loop.h"', '"loop.h" is not path-qualified')
        self.check("relay/net/a.c", '"net/nothing.h"', '"net/nothing.h" does not exist')

    def test_a_folder_of_no_layer(self):
        self.write("relay/misc/a.c", "/* a file */\n")
        self.assertEqual(list(check_layers.faults(self.root)),
                         ["relay/misc/a.c:1: this folder is in no layer"])


class Sizes(Tree):
    def check(self, name, text, expected):
        self.write(name, text)
        found = list(check_sizes.faults(self.root))
        (self.root / name).unlink()
        self.assertEqual(found, [f"{name}:{fault}" for fault in expected])

    def test_functions(self):
        def body(count):
            return "/* x */\n\nstatic int\nf(int a)\n{\n" + "\ta++;\n" * count + "}\n"
        self.check("relay/base/a.c", body(66), [])
        self.check("relay/base/a.c", body(67), ["3: function f has 71 lines, at most 70"])
        self.check("tests/a.py", "def f():\n" + "    pass\n" * 70,
                   ["1: function f has 71 lines, at most 70"])
        self.check("docker/demo", "#!/usr/bin/env bash\nf() {\n" + "\ttrue\n" * 69 + "}\n",
                   ["2: function f has 71 lines, at most 70"])

    def test_files(self):
        self.check("relay/base/a.h", "/* x */\n" + "int a;\n" * 599, [])
        self.check("relay/base/a.h", "/* x */\n" + "int a;\n" * 600, ["1: 601 lines, at most 600"])

    def test_shape(self):
        self.check("relay/base/a.c", "int a;\n",
                   ["1: does not begin with a comment that says what it owns"])
        self.check("relay/base/a.c", "/* x */\n/* " + "TO" + "DO */\n",
                   ["2: a mark of unfinished work"])
        self.check("tests/unit/base/test_a.c", "/* x */\n", ["1: tests no file of relay/base/"])
        self.write("relay/base/wal_store.c", "/* x */\n")
        self.check("tests/unit/base/test_wal_store_recovery.c", "/* x */\n", [])


class Hardening(Tree):
    PROGRAM = ('#ifdef BOTH\n__asm__(".section both,\\"awx\\",@progbits\\n.long 0\\n.previous");\n'
               "#endif\n#include <stdio.h>\n#include <string.h>\nint main(int count, char **words)\n"
               "{ char text[32]; strcpy(text, words[count - 1]); return printf(\"%s\", text); }\n")
    FAULTS = [
        (["-no-pie", "-fno-pie"], "is not position-independent"),
        (["-Wl,-z,norelro"], "has relocations that stay writable"),
        (["-Wl,-z,lazy"], "binds its symbols late, so that their table stays writable"),
        (["-Wl,-z,execstack"], "has a stack that can be executed"),
        (["-DBOTH"], "has pages that are both written and executed"),
        (["-Wl,-rpath,/tmp"], "names places of its own to look for libraries in"),
        (["-fno-stack-protector"], "has no stack protector"),
        (["-U_FORTIFY_SOURCE"], "is built without _FORTIFY_SOURCE"),
    ]

    def check(self, options):
        self.write("a.c", self.PROGRAM)
        hardened = ["-O2", "-w", "-fPIE", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE",
                    "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now"]
        subprocess.run(["gcc", *hardened, *options, self.root / "a.c", "-o", self.root / "a"],
                       check=True)
        return list(check_hardening.faults(self.root / "a"))

    def test_what_it_passes(self):
        self.assertEqual(self.check([]), [])

    def test_what_it_finds(self):
        for options, fault in self.FAULTS:
            self.assertIn(fault, self.check(options))


if __name__ == "__main__":
    unittest.main()
