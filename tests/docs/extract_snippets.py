#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C code of a document as a file, for tests that run it; with COUNT only its first blocks.

usage: extract_snippets.py DOCUMENT OUT [COUNT]"""
import re
import sys

document, out, *count = sys.argv[1:]
with open(document, encoding="utf-8") as file:
    text = file.read()
blocks = list(re.finditer(r"^```c\n(.*?)^```$", text, re.M | re.S))
with open(out, "w", encoding="utf-8") as file:
    for found in blocks[:int(count[0]) if count else None]:
        line = text.count("\n", 0, found.start(1)) + 1
        file.write(f'#line {line} "{document}"\n{found[1]}')
