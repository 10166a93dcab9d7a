# SPDX-License-Identifier: Apache-2.0
"""The supervisor with 500 workers that report once a second: its CPU and memory, and how soon it misses ten of them."""
import contextlib
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
from fleet import Fleet, Process
from table import lines_of, number

MINUTES = 2
NAMES = {"fleet": "500 simulated workers (bench/fleet/sim.c) at the real supervisor, over its socket",
         "killed": "an engine and two workers under load, whose supervisor is killed with SIGKILL and comes back"}
WORKERS, VANISH = 500, 10
GOAL_SHARE, GOAL_MB, GOAL_SECONDS, GOAL_BACK_S = 0.05, 32, 3, 2
PAGE_GOES_S = 7  # a page of metrics is kept for others that ask, for some seconds
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
        for _ in range(3):
            with urllib.request.urlopen(f"http://{http}/metrics", timeout=60) as page:
                page_bytes = len(page.read())
        time.sleep(PAGE_GOES_S)
        scraped = resident_mb(pid)
        print(f"kill {VANISH}", file=simulated.stdin, flush=True)
        missed = until(http, "lost", VANISH, 30)
        return {"suite": "supervisor", "name": "fleet", "workers": WORKERS, "frame_bytes": frame, "cpu_shares": shares,
                "cpu_share": statistics.median(shares), "memory_mb": memory, "missed_s": missed,
                "page_bytes": page_bytes, "scraped_mb": scraped}
    finally:
        if simulated:
            simulated.kill()
            simulated.wait()
        supervisor.stop()


def counters(address):
    """{series: value} of all counters of a page, but the supervisor's own."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        page = answer.read().decode().splitlines()
    kinds = {line.split()[2] for line in page if line.startswith("# TYPE") and line.endswith(" counter")}
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in page
            if line.split("{")[0] in kinds and '@supervisor"' not in line}


def per_second(worker, seconds):
    """Workflows that a worker completes in a second."""
    def completed():
        return sum(value for series, value in counters(worker.address("metrics")).items()
                   if series.startswith("temporal_workflow_completed"))
    began, before = time.monotonic(), completed()
    time.sleep(seconds)
    return (completed() - before) / (time.monotonic() - began)


def kill(args, folder):
    """Throughput before, while and after the supervisor is away; how long until it has all series again."""
    def start():
        return Process("supervisor", [args.bin / "flotilla-supervisor", "--set", f"state_dir={folder}", "--set",
                                      "health.port=0", "--set", "metrics.port=0"])
    rows, seconds = {"before": [], "while": [], "after": []}, max(args.seconds, 1)
    backs, went_back = [], 0
    with Fleet(args.bin) as fleet, contextlib.ExitStack() as stack:
        fleet.engine()
        workers = [fleet.worker(role, "echo", "benchmark", supervisor__endpoint=f"ipc://{folder}/supervisor.sock")
                   for role in ("workflow-worker", "io-activity-worker")]
        supervisor = start()
        until(supervisor.address("http"), "running", 2, 30)
        load = subprocess.Popen([args.bin / "flotilla", "load", "--address", fleet.target, "-t", "benchmark", "--count",
                                 "100000000", "--timeout", "600s"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(load.wait)
        stack.callback(load.kill)
        time.sleep(SETTLE_S)
        for _ in range(args.runs):
            rows["before"].append(per_second(workers[0], seconds))
            known = counters(supervisor.address("http"))
            supervisor.child.kill()
            supervisor.child.wait()
            rows["while"].append(per_second(workers[0], seconds))
            supervisor = start()
            http = supervisor.address("http")  # it serves: from here on somebody could look
            began = time.monotonic()
            while not set(known) <= set(found := counters(http)):
                time.sleep(0.02)
            backs.append(time.monotonic() - began)
            went_back += sum(found[series] < value for series, value in known.items())
            rows["after"].append(per_second(workers[0], seconds))
        supervisor.stop()
    return {"suite": "supervisor", "name": "killed", **{f"{when}_per_s": values for when, values in rows.items()},
            "back_s": max(backs), "went_back": went_back}


def run(args, names):
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="flotilla-bench-") as folder:
            rows.append(measure(args, build(args), folder) if name == "fleet" else kill(args, folder))
    return rows


def sections(rows):
    found = ["## A supervisor and its fleet", ""]
    measured = [[str(row["workers"]), str(row["frame_bytes"]), f"{row['cpu_share']:.1%}", number(row["memory_mb"]),
                 number(row["scraped_mb"]), number(row["missed_s"])] for row in rows if "cpu_share" in row]
    if measured:
        found += lines_of(["workers", "bytes a report", "supervisor's CPU, of one core", "its memory, MB",
                           "after three pages of metrics, MB", f"{VANISH} that vanish are missed after, s"], measured)
    for row in rows:
        if "back_s" in row:
            found += ["", "Workflows a second while the supervisor is killed and comes back:", "",
                      *lines_of(["before", "while it is away", "after", "all series are back after, s",
                                 "counters that went back"],
                                [[*(number(statistics.median(row[f"{when}_per_s"]))
                                    for when in ("before", "while", "after")), number(row["back_s"]),
                                  str(row["went_back"])]])]
    return found


def goals(rows):
    row = next((row for row in rows if "cpu_share" in row), None)
    killed = next((row for row in rows if "back_s" in row), None)
    return [(f"{WORKERS} workers at 1 Hz: supervisor's CPU < 5 % of a core", f"{row['cpu_share']:.1%}" if row else "–",
             row["cpu_share"] < GOAL_SHARE if row else None),
            (f"{WORKERS} workers: supervisor's memory < {GOAL_MB} MB, also after pages of metrics",
             f"{max(row['memory_mb'], row['scraped_mb']):.1f} MB" if row else "–",
             max(row["memory_mb"], row["scraped_mb"]) < GOAL_MB if row else None),
            (f"{VANISH} of {WORKERS} vanish: seen within {GOAL_SECONDS} s", f"{row['missed_s']:.1f} s" if row else "–",
             row["missed_s"] <= GOAL_SECONDS if row else None),
            (f"killed supervisor: all series back {GOAL_BACK_S} s after it serves, none lower",
             f"{killed['back_s']:.1f} s, {killed['went_back']} lower" if killed else "–",
             killed["back_s"] <= GOAL_BACK_S and not killed["went_back"] if killed else None)]
