#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same seeds in two processes go the same way, whatever the addresses and the environment are.

Usage: same_trace.py SIMULATION"""
import os
import subprocess
import sys


def hashes(**environment):
    done = subprocess.run([sys.argv[1], "--from", "1", "--count", "20", "--hashes", "1"], text=True,
                          capture_output=True, env={**os.environ, **environment})
    lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    assert done.returncode == 0 and len(lines) == 20, done.stdout
    return lines


first = hashes()
second = hashes(MALLOC_PERTURB_="165", MALLOC_MMAP_THRESHOLD_="1024", TZ="Asia/Tokyo", LONG="x" * 5000)
assert first == second, [pair for pair in zip(first, second) if pair[0] != pair[1]]
assert len(set(line.split()[-1] for line in first)) == 20, "other seeds go other ways"
