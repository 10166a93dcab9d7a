# SPDX-License-Identifier: Apache-2.0
"""The supervisor with 500 workers that report once a second: its CPU and memory, and how soon it misses ten of them."""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import procfs
from fleet import Process
from table import lines_of, number

MINUTES = 1
NAMES = {"fleet": "500 simulated workers (bench/fleet/sim.c) at the real supervisor, over its socket"}
WORKERS, VANISH = 500, 10
GOAL_SHARE, GOAL_MB, GOAL_SECONDS = 0.05, 32, 3
SETTLE_S = 3  # all are connected, and have reported at least twice


def needs(names):
    return []


def build(args):
    subprocess.run(["cmake", "--build", args.bin.parent, "--target", "fleet_sim"], check=True, stdout=sys.stderr)
    return args.bin / "fleet_sim"


def states(http):
    with urllib.request.urlopen(f"http://{http}/v1/fleet", timeout=10) as answer:
        found = [process["state"] for process in json.loads(answer.read())["processes"]]
    return {state: found.count(state) for state in set(found)}


def until(http, state, count, at_most_s):
    """Seconds until so many are in that state."""
    began = time.monotonic()
    while states(http).get(state, 0) < count:
        if time.monotonic() - began > at_most_s:
            raise AssertionError(f"after {at_most_s} s there are not {count} {state}: {states(http)}")
        time.sleep(0.05)
    return time.monotonic() - began


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def measure(args, simulator, folder):
    supervisor = Process("supervisor", [args.bin / "flotilla-supervisor", "--set", f"state_dir={folder}", "--set",
                                        "health.port=0", "--set", "metrics.port=0"])
    simulated = None
    try:
        http, pid = supervisor.address("http"), supervisor.child.pid
        supervisor.said("supervisor.started")
        simulated = subprocess.Popen([simulator, f"ipc://{folder}/supervisor.sock", str(WORKERS),
                                      pathlib.Path(__file__).with_name("fleet") / "busy.json"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        frame = int(re.search(r"frames of (\d+) bytes", simulated.stdout.readline())[1])
        until(http, "running", WORKERS, 30)
        time.sleep(SETTLE_S)
        shares = []
        for _ in range(args.runs):
            began, cpu = time.monotonic(), procfs.cpu_seconds(pid)[0]
            time.sleep(max(args.seconds, 1))
            shares.append((procfs.cpu_seconds(pid)[0] - cpu) / (time.monotonic() - began))
        memory = resident_mb(pid)
        print(f"kill {VANISH}", file=simulated.stdin, flush=True)
        missed = until(http, "lost", VANISH, 30)
        return {"suite": "supervisor", "name": "fleet", "workers": WORKERS, "frame_bytes": frame, "cpu_shares": shares,
                "cpu_share": statistics.median(shares), "memory_mb": memory, "missed_s": missed}
    finally:
        if simulated:
            simulated.kill()
            simulated.wait()
        supervisor.stop()


def run(args, names):
    simulator = build(args)
    with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
        return [measure(args, simulator, folder)]


def sections(rows):
    return ["## A supervisor and its fleet", "",
            *lines_of(["workers", "bytes a report", "supervisor's CPU, of one core", "its memory, MB",
                       f"{VANISH} that vanish are missed after, s"],
                      [[str(row["workers"]), str(row["frame_bytes"]), f"{row['cpu_share']:.1%}", number(row["memory_mb"]),
                        number(row["missed_s"])] for row in rows if "cpu_share" in row])]


def goals(rows):
    row = next((row for row in rows if "cpu_share" in row), None)
    return [(f"{WORKERS} workers at 1 Hz: supervisor's CPU < 5 % of a core", f"{row['cpu_share']:.1%}" if row else "–",
             row["cpu_share"] < GOAL_SHARE if row else None),
            (f"{WORKERS} workers: supervisor's memory < {GOAL_MB} MB", f"{row['memory_mb']:.1f} MB" if row else "–",
             row["memory_mb"] < GOAL_MB if row else None),
            (f"{VANISH} of {WORKERS} vanish: seen within {GOAL_SECONDS} s", f"{row['missed_s']:.1f} s" if row else "–",
             row["missed_s"] <= GOAL_SECONDS if row else None)]
