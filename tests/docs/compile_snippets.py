#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C code of a document, all blocks put together, compiles without a warning.

usage: compile_snippets.py COMPILER DOCUMENT [FLAG ...]"""
import re
import subprocess
import sys


def main():
    compiler, document, *flags = sys.argv[1:]
    with open(document, encoding="utf-8") as file:
        text = file.read()
    code, blocks = "", 0
    for found in re.finditer(r"^```c\n(.*?)^```$", text, re.M | re.S):
        line = text.count("\n", 0, found.start(1)) + 1
        code += f'#line {line} "{document}"\n{found[1]}'
        blocks += 1
    done = subprocess.run([compiler, "-x", "c", "-std=c17", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror",
                           "-fsyntax-only", *flags, "-"], input=code, text=True)
    print(f"{document}: {blocks} blocks")
    return done.returncode if blocks else 1


if __name__ == "__main__":
    sys.exit(main())
