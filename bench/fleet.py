# SPDX-License-Identifier: Apache-2.0
"""The supervisor with 500 workers that report once a second: CPU, memory, how soon it misses ten that vanish."""
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import procfs
from fleet_processes import Process
from table import lines_of, number

MINUTES = 1
NAMES = {"fleet": "simulated workers against the real supervisor"}
WORKERS, VANISH = 500, 10
GOAL_CPU, GOAL_MB, GOAL_SECONDS = 0.05, 32, 3


def needs(names):
    return []


def build(args):
    subprocess.run(["cmake", "--build", args.bin.parent, "--target", "fleet_sim", "flotilla-supervisor"], check=True,
                   stdout=sys.stderr)
    return args.bin / "fleet_sim"
