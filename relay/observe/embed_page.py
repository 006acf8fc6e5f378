#!/usr/bin/env python3
"""Makes a C file of the status page: its bytes, and the Content-Security-Policy that allows it its
own style and script, by their digests, and nothing else.

Usage: embed_page.py PAGE.html OUTPUT.c
"""
import base64
import hashlib
import re
import sys
from pathlib import Path


def digest_of(tag, page):
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    assert len(found) == 1, f"the page needs one <{tag}>, without attributes"
    return "'sha256-" + base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode() + "'"


def policy_of(page):
    return "; ".join([
        "default-src 'none'", f"script-src {digest_of('script', page)}",
        f"style-src {digest_of('style', page)}", "connect-src 'self'", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])


def literal(line):
    escaped = "".join(char if " " <= char <= "~" and char not in '"\\?' else
                      "".join(f"\\{byte:03o}" for byte in char.encode()) for char in line)
    return f'\t"{escaped}"\n'


def main():
    page = Path(sys.argv[1]).read_text(encoding="utf-8")
    with open(sys.argv[2], "w", encoding="ascii") as out:
        out.write('/* Made of page.html by embed_page.py. */\n#include "observe/page.h"\n\n')
        out.write("const char page_html[] =\n")
        out.writelines(literal(line) for line in page.splitlines(keepends=True))
        out.write("\t;\nconst size_t page_html_length = sizeof(page_html) - 1;\n")
        out.write(f"const char page_policy[] =\n{literal(policy_of(page))}\t;\n")


if __name__ == "__main__":
    main()
