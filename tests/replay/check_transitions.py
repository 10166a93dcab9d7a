#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says which transitions of the workflow lifecycles no replay test took; exits 1 if there are any.

usage: check_transitions.py FILE FOLDER   (what the tests wrote down; common/workflow/machines)
"""
import pathlib
import sys

# Transitions that no replay test can take: (file, from, to) -> why.
EXPLAINED = {}


def main():
    lines = [line.split() for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    may = {tuple(words) for verb, *words in lines if verb == "may"}
    did = {tuple(words) for verb, *words in lines if verb == "did"}
    machines = {file.name for file in pathlib.Path(sys.argv[2]).glob("*.c")
                if "const struct flo_machine_state" in file.read_text() and file.name != "machine.c"}
    missing = sorted(may - did - set(EXPLAINED))
    unseen = sorted(machines - {file for file, *_ in may})
    needless = sorted(set(EXPLAINED) & did)
    for file, old, new in missing:
        print(f"{file}: no test takes {old} -> {new}")
    for file in unseen:
        print(f"{file}: no test moves it at all")
    for file, old, new in needless:
        print(f"{file}: {old} -> {new} is taken: it needs no explanation")
    print(f"{len(did)} of {len(may)} transitions of {len({m[0] for m in may})} lifecycles are taken")
    return 1 if missing or unseen or needless else 0


if __name__ == "__main__":
    sys.exit(main())
