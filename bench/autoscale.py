# SPDX-License-Identifier: Apache-2.0
"""A fleet that follows its load: 5, then 40, then 5 workflows a second, with the slots of the KEDA guide."""
import json
import os
import pathlib
import threading
import time
import urllib.request

import autoscale_chart
from fleet import Fleet
from loadgen import FAILURES, load, reason, wait_until
from table import lines_of

MINUTES = 5
NAMES = {"autoscale": "IO activities of 1.2 s; the policy's defaults: 3 to 20 workers, 60 s of cool-down"}
PHASES = [(5, 30), (40, 100), (5, 150)]  # workflows a second, seconds
TASK = {"operations": 4, "concurrent": 1, "delay_ms": 300, "io": "wait"}
FOLLOW_S = 15
CHART = pathlib.Path(__file__).resolve().parents[1] / "docs/autoscaling.svg"
FLEET = """
state_dir: {folder}/state
engine: {{listen: "127.0.0.1:0"}}
workers:
  - {{name: workflow, program: workflow-worker, config: workflow.yaml, count: 3, autoscale: {{enabled: true}}}}
  - {{name: io, program: io-activity-worker, config: io.yaml, count: 3, autoscale: {{enabled: true}}}}
  - {{name: cpu, program: cpu-activity-worker, config: cpu.yaml, count: 1}}
health: {{port: 0}}
metrics: {{port: 0}}
log: {{format: json}}
"""
COMMON = "modules: [{path: loadtest}]\nhealth: {port: 0}\nmetrics: {port: 0}\nlog: {format: json}\n"
ROLES = {  # the guide's: slots, polls, threads
    "workflow": "task_queue: benchmark\nmax_concurrent_workflow_tasks: 3\nmax_concurrent_workflow_task_polls: 2\n",
    "io": "task_queue: benchmark\nmax_concurrent_activities: 5\nmax_concurrent_activity_task_polls: 2\n"
          "executor: {workers: 10}\n",
    "cpu": "task_queue: benchmark-cpu\nmax_concurrent_activities: 2\nmax_concurrent_activity_task_polls: 1\n"
           "executor: {workers: 2, pin: false}\n"}


def needs(names):
    return []


def start(args, fleet):
    folder = pathlib.Path(fleet.folder.name)
    for role, text in ROLES.items():
        (folder / f"{role}.yaml").write_text(text + COMMON)
    (folder / "fleet.yaml").write_text(FLEET.format(folder=folder))
    supervisor = fleet.start("supervisor", [args.bin / "flotilla-supervisor", "--local", "--config",
                                            folder / "fleet.yaml"])
    http = supervisor.address("http")
    wait_until("a ready fleet", lambda: urllib.request.urlopen(f"http://{http}/ready", timeout=5).status == 200, 60, 0.2)
    with urllib.request.urlopen(f"http://{http}/v1/fleet", timeout=5) as answer:
        fleet.target = json.load(answer)["server"]
    return supervisor, http


class Watch(threading.Thread):
    """Twice a second what the supervisor knows and wants of each worker."""

    def __init__(self, http):
        super().__init__(daemon=True)
        self.http, self.samples, self.over, self.began = http, [], threading.Event(), time.monotonic()

    def run(self):
        while not self.over.wait(0.5):
            try:
                with urllib.request.urlopen(f"http://{self.http}/v1/scale", timeout=5) as answer:
                    workers = json.load(answer)["workers"]
            except OSError:
                continue
            self.samples.append({"t": round(time.monotonic() - self.began, 2),
                                 **{name: {key: workers[name][key] for key in
                                           ["backlog", "in_flight", "slots", "replicas", "ready", "desired_replicas"]}
                                    for name in ["workflow", "io"]}})


def logged(supervisor, event):
    """The log lines with that event, of the supervisor and of its children, whose lines have a name before them."""
    found = []
    for line in supervisor.output:
        at = line.find("{")
        if f'"event":"{event}"' in line and at >= 0:
            try:
                found.append(json.loads(line[at:]))
            except ValueError:
                continue
    return found


def turns(changes):
    """How often the direction changed: 1 for a fleet that grows and shrinks."""
    ups = [after > before for before, after in changes]
    return sum(a != b for a, b in zip(ups, ups[1:]))


def followed(samples, name, little):
    """Seconds from the first backlog that is more than little, for each worker, until there were more; None: there was none."""
    first = next((s for s in samples if (s[name]["backlog"] or 0) >= little * s[name]["ready"] > 0), None)
    if first is None:
        return None
    raised = next((s for s in samples if s["t"] >= first["t"] and s[name]["ready"] > first[name]["ready"]), None)
    return raised["t"] - first["t"] if raised else float("inf")


def measure(args, fleet):
    supervisor, http = start(args, fleet)
    watch = Watch(http)
    watch.start()
    reports, begun = [], []
    for rate, seconds in PHASES:
        begun.append((round(time.monotonic() - watch.began, 1), rate))
        options = [x for key, value in TASK.items() for x in ("--param", f"{key}={value}")]
        reports.append(load(args, fleet.target, "--type", "io_simulation", "--tasks", str(rate * seconds), "--rate",
                            str(rate), *options, timeout_s=seconds + 120))
    watch.over.set()
    watch.join()
    supervisor.stop(timeout=60)
    changes = {name: [(line["from"], line["to"]) for line in logged(supervisor, "worker.autoscaled")
                      if line["worker"] == name] for name in ["workflow", "io"]}
    stopped = logged(supervisor, "worker.stopped")
    waits = [followed(watch.samples, name, up) for name, up in [("workflow", 3), ("io", 5)]]
    return {"samples": watch.samples, "phases": begun,
            "completed": sum(r["completed"] for r in reports), "failed": sum(r["failed"] for r in reports),
            "p99_s": [r["p99Ms"] / 1000 for r in reports], "changes": changes, "turns": max(turns(c) for c in changes.values()),
            "most": max(s["io"]["ready"] for s in watch.samples), "last": watch.samples[-1]["io"]["ready"],
            "follow_s": max([w for w in waits if w is not None], default=None),
            "cut": sum(line.get("cut", 0) + line.get("abandoned", 0) for line in stopped),
            "stopped": len(stopped), "expected": sum(rate * seconds for rate, seconds in PHASES)}


def run(args, names):
    row = {"suite": "autoscale", "name": "5 → 40 → 5 workflows/s"}
    fleet = Fleet(args.bin)
    try:
        row.update(measure(args, fleet))
        CHART.write_text(autoscale_chart.draw(row["samples"], row["phases"]))
    except FAILURES as error:
        row["error"] = reason(error)
    finally:
        for process in fleet.processes:
            if process.child.poll() is None:
                os.kill(process.child.pid, 9)
                process.child.wait()
        fleet.folder.cleanup()
    return [row]


def sections(rows):
    return ["## A fleet that follows its load", "",
            *lines_of(["load", "workflows", "failed", "p99, s", "IO workers, most", "at the end", "changes", "first up after"],
                      [[row["name"], str(row["completed"]), str(row["failed"]), " ".join(f"{x:.1f}" for x in row["p99_s"]),
                        str(row["most"]), str(row["last"]),
                        " ".join(f"{a}→{b}" for a, b in row["changes"]["io"]),
                        "–" if row["follow_s"] is None else f"{row['follow_s']:.1f} s"]
                       for row in rows if "completed" in row]), "", "docs/autoscaling.svg is the chart of the run."]


def goals(rows):
    row = next((row for row in rows if "completed" in row), None)
    if row is None:
        return [("a fleet that follows its load", "–", None)]
    follow = row["follow_s"]
    return [(f"replicas follow a backlog within {FOLLOW_S} s", "–" if follow is None else f"{follow:.1f} s",
             None if follow is None else follow <= FOLLOW_S),
            ("no flapping: the direction changes once", str(row["turns"]), row["turns"] <= 1),
            ("no workflow fails", str(row["failed"]), row["failed"] == 0 and row["completed"] == row["expected"]),
            ("no task is cut off by a smaller fleet", str(row["cut"]), row["cut"] == 0)]
