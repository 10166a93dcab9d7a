#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/check_docs finds each kind of breach, and nothing in code blocks and foreign paths."""
import os
import subprocess
import sys
import tempfile

CASES = [  # (document's text, what the output must hold; None: no breach)
    ("`do_it()` does it.\n", None),
    ("\n`do_that()`\n", "docs/a.md:2: there is no function do_that()"),
    ("`common/base/a.c` and `base/a.c` and `common/`\n", None),
    ("`common/base/b.c`\n", "there is no common/base/b.c"),
    ("`a.c`, `a.{c,md}`, `common/*/a.c`\n", None),
    ("`b.c`\n", "there is no file called b.c"),
    ("`common/base/{a,b}.c`\n", "there is no common/base/{a,b}.c"),
    ("`/metrics`, `../lib/x`, `build/bin/x`, `text/plain`, `poll`\n", None),
    ("`do_it()` (`common/base/a.c`) and `do_more()` (`base/c.h`)\n", None),
    ("`do_it()` (`base/c.h`)\n", "do_it() is not in base/c.h"),
    ("[a](a.md), [c](../common), [w](https://example.org/)\n", None),
    ("[b](b.md)\n", "the link to b.md leads nowhere"),
    ("```\n`do_that()` [b](b.md)\n```\n", None),
]
SOURCES = [  # (a source file's comment, as above)
    ("/* docs/a.md, a.md, ERROR 2, RFC 9110 */\n", None),
    ("/* as\n * docs/b.md says */\n", "common/base/b.c:2: there is no document docs/b.md"),
    ("/* b.md */\n", "there is no document b.md"),
    ("/* ELSEWHERE 2.1 */\n", "common/base/b.c:1: there is no document ELSEWHERE"),
    ("/* ELSEWHERE group B */\n", "there is no document ELSEWHERE"),
    ("/* B.1: it is so. */\n", "common/base/b.c:1: B.1 is a place in no document"),
    ("/*\n * B.3, B.14: it is so. */\n", "common/base/b.c:2: B.3 is a place in no document"),
    ("/* C.2 of the protocol */\n", "C.2 is a place in no document"),
    ("/* it is so (RFC 3720 appendix B.4): a. A.1 */\n", None),
]

for text, expected in CASES + SOURCES:
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "common/base"))
        os.makedirs(os.path.join(root, "docs"))
        with open(os.path.join(root, "common/base/a.c"), "w", encoding="utf-8") as file:
            file.write("int do_it(void)\n{\n    return 0;\n}\n")
        with open(os.path.join(root, "common/base/c.h"), "w", encoding="utf-8") as file:
            file.write("int do_more(void);\n")
        with open(os.path.join(root, "docs/a.md"), "w", encoding="utf-8") as file:
            file.write(text if (text, expected) in CASES else "")
        if (text, expected) in SOURCES:
            with open(os.path.join(root, "common/base/b.c"), "w", encoding="utf-8") as file:
                file.write(text)
        result = subprocess.run([sys.executable, sys.argv[1], root], capture_output=True, text=True)
        good = result.returncode == 0 if expected is None else (
            result.returncode == 1 and expected in result.stdout)
        if not good:
            sys.exit(f"{text!r}: expected {expected!r}, got {result.returncode}: {result.stdout}")
print(f"{len(CASES + SOURCES)} cases")
