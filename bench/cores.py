# SPDX-License-Identifier: Apache-2.0
"""Pure computing on every core: activities of a CPU worker with one executor a core, against the same in a bare loop."""
import json
import os
import statistics
import subprocess
import sys

from fleet import Fleet
from table import lines_of, number

MINUTES = 1
NAMES = {"cores": "both sides in turn, so that what else the machine does meets both"}
GOAL = 0.95
PIECES_A_SECOND = 10  # about, of one core; only sizes a run


def needs(names):
    return []


def build(args):
    """The release build's programs beside those of the workers."""
    folder = args.bin.parent
    subprocess.run(["cmake", "--build", folder, "--target", "bench_burn", "module_burn"], check=True,
                   stdout=sys.stderr)
    return args.bin / "bench_burn", folder / "bench/burn.so"


def fan(args, fleet, count):
    """Seconds that a workflow of count pieces took, by its history: first scheduled to last completed."""
    name = f"fan-{os.urandom(4).hex()}"
    subprocess.run([args.bin / "flotilla", "start", "--address", fleet.target, "--type", "FanWorkflow", "-t", "burn",
                    "-w", name, "-i", json.dumps({"n": count}), "--wait"],
                   stdout=subprocess.DEVNULL, timeout=600, check=True)
    history = subprocess.run([args.bin / "flotilla", "history", "--address", fleet.target, "-o", "json", name],
                             capture_output=True, text=True, timeout=60, check=True)
    events = json.loads(history.stdout)["events"]
    return seconds(events[-1]["eventTime"]) - seconds(next(
        e for e in events if "activityTaskScheduledEventAttributes" in e)["eventTime"])


def seconds(text):
    """Of the day: 2026-01-31T10:20:30.123456789Z."""
    hours, minutes, rest = text.rstrip("Z").split("T")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def run(args, names):
    bare, module = build(args)
    cores = len(os.sched_getaffinity(0))
    count = int(max(args.seconds, 1) * PIECES_A_SECOND * cores)
    times = {"bare": [], "activities": []}
    with Fleet(args.bin) as fleet:
        fleet.engine()
        fleet.worker("workflow-worker", "loadtest", "burn")
        fleet.worker("cpu-activity-worker", str(module), "burn", executor__workers=cores,
                     max_concurrent_activities=cores, max_concurrent_activity_task_polls=cores)
        fan(args, fleet, cores)
        for _ in range(args.runs):
            done = subprocess.run([bare, str(cores), str(count)], capture_output=True, text=True, timeout=600, check=True)
            times["bare"].append(float(done.stdout))
            times["activities"].append(fan(args, fleet, count) % 86400)
    return [{"suite": "cores", "name": side, "cores": cores, "pieces": count, "seconds": of_it,
             "rate": count / statistics.median(of_it), "runs": len(of_it)} for side, of_it in times.items()]


def share(rows):
    """The median of the pairs' ratios: the two of a pair met the same neighbours."""
    side = {row["name"]: row["seconds"] for row in rows if "seconds" in row}
    return statistics.median(b / a for a, b in zip(side["activities"], side["bare"])) if len(side) == 2 else None


def sections(rows):
    return ["## Computing on every core", "",
            *lines_of(["side", "cores", "pieces", "pieces/s", "runs"],
                      [[row["name"], str(row["cores"]), str(row["pieces"]), number(row["rate"]), str(row["runs"])]
                       for row in rows if "rate" in row])]


def goals(rows):
    reached = share(rows)
    return [("pure computing in a CPU worker, share of a bare loop's rate: >= 95 %",
             "–" if reached is None else f"{reached:.1%}", None if reached is None else reached >= GOAL)]
