# SPDX-License-Identifier: Apache-2.0
"""Workers x servers x workloads: ours and the official SDKs, on the Temporal dev server and on our engine."""
import json
import pathlib
import re
import statistics
import sys
import time

import machine
import matrix_report
import procfs
from fleet import Fleet
from loadgen import FAILURES, POLLS, SLOTS, load, reason, start_workers, stop_all, wait_until_served
from queue_depth import DepthProbe
from system_calls import SystemCalls

ROOT = pathlib.Path(__file__).resolve().parents[1]
MINUTES = 17
IDLE_S = 2              # from a process's start to the reading of its idle memory
COUNT_MAX = 20000       # workflows in a run
SLOW = 2                # runs that take so many times --seconds, for want of speed, are three
VERY_SLOW = 5           # and so many times: each is one round of what is in flight instead of two
FEW_RUNS = ["signal", "payload64k"]  # three runs, too, and two of timer, one of openloop
# Seconds after which a workload makes no further round of runs; on a quiet machine it is done before.
BUDGETS_S = {"echo": 310, "alone": 190, "chain10": 120, "fan50": 140, "signal": 80, "timer": 60, "payload64k": 60,
             "openloop": 110}
OPEN_LOOP_RPS, OPEN_LOOP_S = 30, 10

WORKERS = {
    "ours": "our workflow-worker and io-activity-worker; their figures are added up",
    "go": "the official Go SDK, bench/peers/go",
    "python": "the official Python SDK, bench/peers/python",
    "typescript": "the official TypeScript SDK, bench/peers/typescript",
}
SERVERS = {
    "dev": "Temporal's dev server in memory, with its defaults",
    "dev-file": "the same on its SQLite file (--db-filename), with its defaults",
    "dev-tuned": "in memory, with its limits raised",
    "dev-wal": "on a file with journal_mode=wal, with its limits raised",
    "memory": "flotilla-engine without --db",
    "file": "flotilla-engine with --db",
}
# name: help, type, input, right result, in flight at once, further options of flotilla load
WORKLOADS = {
    "echo": ("one activity; 50 in flight", "EchoWorkflow", "hello", "hello", 50, ()),
    "alone": ("the same, one after the other", "EchoWorkflow", "hello", "hello", 1, ()),
    "chain10": ("10 activities, one after the other; 10 in flight", "ChainWorkflow", {"n": 10}, 45, 10, ()),
    "fan50": ("50 activities at once; 5 in flight", "FanWorkflow", {"n": 50}, 1225, 5, ()),
    "signal": ("100 signals, the next when the last was acknowledged; 5 in flight", "SignalWorkflow", {"n": 100}, 100, 5,
               ("--signals", 100)),
    "timer": ("100 workflows at once of 100 timers of one second: 10,000", "TimerWorkflow", {"n": 100, "ms": 1000}, 100,
              100, ()),
    "payload64k": ("one activity, 64 KiB in and out; 10 in flight", "EchoWorkflow", "x" * 65536, "x" * 65536, 10, ()),
    "openloop": ("30 echoes a second, whatever is in flight; three workers with 3 + 5 slots", "EchoWorkflow", "hello",
                 "hello", OPEN_LOOP_RPS, ("--rate", OPEN_LOOP_RPS)),
}
NAMES = {**WORKERS, **SERVERS, **{name: spec[0] for name, spec in WORKLOADS.items()}}
OURS_AND_GO = ["ours", "go"]
EVERYONE = list(WORKERS)
# The cells that are measured: {workload: {server: workers}}. Not all, for time; docs/benchmarks.md says why these.
FULL = {"dev": EVERYONE, "file": EVERYONE}
MORE = {server: OURS_AND_GO for server in ["dev", "dev-tuned", "memory", "file"]}
ECHOES = {**{server: OURS_AND_GO for server in SERVERS}, **FULL}
CELLS = {"echo": ECHOES, "alone": ECHOES, "chain10": FULL, "fan50": FULL,
         "signal": {server: OURS_AND_GO for server in MORE if server != "dev-tuned"}, "timer": MORE, "payload64k": MORE, "openloop": MORE}
# Where system calls are counted, too: strace makes the dev server's workflows take seconds.
CALLS_COUNTED = {**{(workload, server): ["ours"] for workload in ("echo", "alone") for server in SERVERS},
                 ("echo", "dev"): EVERYONE, ("echo", "file"): EVERYONE}
DEV_SERVERS = [name for name in SERVERS if name.startswith("dev")]
PEER_OF = {"go": "go_worker", "python": "python_sdk", "typescript": "typescript_worker",
           **dict.fromkeys(DEV_SERVERS, "temporal_server")}

sections, goals = matrix_report.sections, matrix_report.goals

# The dev server's limits. Polls of the task queues inside (20 a second, which is where its 150 ms come from), requests
# and statements a second; one partition a queue, since on one node more only forward to each other, ten a second.
RAISED = {
    "history.transferProcessorMaxPollRPS": 10000, "history.timerProcessorMaxPollRPS": 10000,
    "history.visibilityProcessorMaxPollRPS": 10000, "frontend.rps": 100000, "frontend.namespaceRPS": 100000,
    "history.rps": 100000, "matching.rps": 100000, "frontend.persistenceMaxQPS": 1000000,
    "history.persistenceMaxQPS": 1000000, "matching.persistenceMaxQPS": 1000000,
    "system.visibilityPersistenceMaxWriteQPS": 1000000, "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
}


def dev_options(server, folder):
    options = []
    if server in ("dev-file", "dev-wal"):
        options += ["--db-filename", f"{folder}/temporal.db"]
    if server == "dev-wal":
        options += ["--sqlite-pragma", "journal_mode=wal"]
    if server in ("dev-tuned", "dev-wal"):
        options += [word for key, value in RAISED.items() for word in ("--dynamic-config-value", f"{key}={value}")]
    return options


def start_server(fleet, server):
    folder = fleet.folder.name
    if server == "memory":
        return fleet.engine()
    if server == "file":
        return fleet.engine("--db", f"{folder}/engine.db")
    return fleet.real_server(*dev_options(server, folder))


def start_ours(fleet, queue, replicas, settings):
    return [process for _ in range(replicas) for process in start_workers(fleet, "echo loadtest", queue, settings)]


def start_peer(args, fleet, worker, queue, replicas, settings):
    program = {"go": [args.peers / "bin/go-worker"],
               "python": [args.peers / "venv/bin/python", ROOT / "bench/peers/python/worker.py"],
               "typescript": ["node", args.peers / "typescript/worker.js"]}[worker]
    polls, tasks, activity_polls, activities = settings
    return [fleet.start(f"{worker} {queue}", [
        *program, "--address", fleet.target, "--task-queue", queue, "--polls", polls, "--slots", tasks,
        "--activity-polls", activity_polls, "--activity-slots", activities]) for _ in range(replicas)]


class Side:
    """Processes that are measured together: a server, or the workers of one queue."""

    def __init__(self, processes):
        self.processes = processes
        self.pids = [process.child.pid for process in processes]
        self.idle = self.idle_each = None

    def read(self):
        for process in self.processes:
            if process.child.poll() is not None:
                raise RuntimeError(f"{process.name} has ended: {' '.join(process.output[-3:])}")
        return procfs.read(self.pids)

    def read_idle(self):
        self.idle, self.idle_each = self.read(), [procfs.read([pid]) for pid in self.pids]

    def wait_ready(self, timeout_s=60):
        """Until each has said something that starts a line with its name and ends in ready or a listening address."""
        for process in self.processes:
            with process.changed:
                said = process.changed.wait_for(
                    lambda p=process: p.child.poll() is not None or
                    any(re.search(r"ready|http listening", line) for line in p.output), timeout_s)
            if not said or process.child.poll() is not None:
                raise RuntimeError(f"{process.name} did not get ready: {' '.join(process.output[-3:])}")


class Rig:
    """The servers and workers that are up, each started when it is first asked for. What fails once stays failed."""

    def __init__(self, args):
        self.args, self.fleets, self.sides, self.failed = args, {}, {}, {}
        self.began = time.monotonic()

    def once(self, key, start):
        if key in self.failed:
            raise RuntimeError(self.failed[key])
        if key not in self.sides:
            try:
                self.sides[key] = start()
            except FAILURES as error:
                self.failed[key] = reason(error)
                raise RuntimeError(self.failed[key]) from error
        return self.sides[key]

    def server(self, name):
        def start():
            fleet = self.fleets[name] = Fleet(self.args.bin, self.args.peers / "bin/temporal")
            side = Side([start_server(fleet, name)])
            wait_until_served(self.args, fleet.target)
            return side
        return self.once(name, start)

    def worker(self, server, name, profile="benchmark"):
        """profile: the queue's name, and how many workers with how many polls and slots serve it."""
        self.server(server)

        def start():
            fleet, queue = self.fleets[server], f"{profile}-{name}"
            replicas, settings = (3, (2, 3, 2, 5)) if profile == "keda" else (1, (POLLS, SLOTS, POLLS, SLOTS))
            processes = (start_ours(fleet, queue, replicas, settings) if name == "ours" else
                         start_peer(self.args, fleet, name, queue, replicas, settings))
            return Side(processes)
        side = self.once((server, name, profile), start)
        self.once((server, name, profile, "ready"), lambda: side.wait_ready() or side)
        return side

    def ended(self, server):
        """Which processes around a server have ended, and the last that they said: why its cells fail."""
        gone = [p for p in (self.fleets[server].processes if server in self.fleets else []) if p.child.poll() is not None]
        return "; ".join(f"{process.name} has ended: {' '.join(process.output[-2:])}" for process in gone)

    def stop(self):
        stop_all(self.fleets.values())


class Cell:
    """One worker on one server with one workload: its row grows run by run, until something fails."""

    def __init__(self, rig, server, worker, workload):
        self.rig, self.args = rig, rig.args
        self.server, self.worker, self.workload = server, worker, workload
        self.row = {"suite": "matrix", "name": f"{server} {worker} {workload}", "server": server, "worker": worker,
                    "workload": workload, "runs": []}
        self.wanted_runs = 0

    def attempt(self, step):
        """step(), unless the cell has failed; a failure is the row's, not the suite's."""
        if "error" in self.row:
            return
        try:
            step()
        except FAILURES as error:
            self.row["error"] = reason("; ".join(filter(None, [str(error), self.rig.ended(self.server)])))
            self.say()

    def start(self):
        self.profile = "keda" if self.workload == "openloop" else "benchmark"
        self.workers = self.rig.worker(self.server, self.worker, self.profile)
        self.servers = self.rig.server(self.server)

    def load(self, count, timeout_s=None):
        _, kind, given, right, concurrency, more = WORKLOADS[self.workload]
        size = ["--input-bytes", len(given)] if isinstance(given, str) and len(given) > 1000 else \
            ["--input", json.dumps(given), "--expect", json.dumps(right)]
        pace = [] if "--rate" in more else ["--concurrency", concurrency]
        return load(self.args, self.rig.fleets[self.server].target, "--type", kind, "--task-queue",
                    f"{self.profile}-{self.worker}", "--count", count, *size, *pace, *more,
                    timeout_s=timeout_s or 30 + 5 * self.args.seconds)

    def warm_up(self):
        """A cold load, and a warm one where there is time: they do not count, but say how many workflows a run takes."""
        concurrency, seconds = WORKLOADS[self.workload][4], self.args.seconds
        if self.workload == "openloop":
            self.load(concurrency)
            self.count, self.wanted_runs = int(OPEN_LOOP_RPS * max(OPEN_LOOP_S, seconds)), 1
            return
        if self.workload == "timer":
            self.load(concurrency // 10)
            self.count, self.wanted_runs = concurrency, min(2, self.args.runs)
            return
        rate = self.load(concurrency)["workflowsPerSecond"]
        if rate * seconds > 2 * concurrency:
            rate = self.load(min(COUNT_MAX, int(rate * seconds / 2)))["workflowsPerSecond"]
        self.count = min(COUNT_MAX, max(2 * concurrency, int(rate * seconds)))
        few = self.count / rate > SLOW * seconds or self.workload in FEW_RUNS
        if self.count / rate > VERY_SLOW * seconds:
            self.count = concurrency
        self.wanted_runs = min(3, self.args.runs) if few else self.args.runs

    def measure(self):
        """One run, and what its processes used until they are quiet again."""
        if len(self.row["runs"]) >= self.wanted_runs:
            return
        sides = {"worker": self.workers, "server": self.servers}
        before = {side: sides[side].read() for side in sides}
        probe = DepthProbe(self.args, self.rig.fleets[self.server].target, f"{self.profile}-{self.worker}") \
            if self.workload == "openloop" else None
        try:
            run = self.load(self.count)
        finally:
            depth = probe.stop() if probe else None
        procfs.wait_until_quiet(self.workers.pids + self.servers.pids, at_most_s=2)
        for side in sides:
            run[side] = procfs.between(before[side], sides[side].read(), self.count)
        if depth:
            run["depth"] = depth
        self.row["runs"].append(run)

    def count_calls(self):
        """A short run with strace on both sides, whose times do not count."""
        count = 20 if self.server in DEV_SERVERS else max(20, WORKLOADS[self.workload][4])
        try:
            with SystemCalls(self.workers.pids) as workers, SystemCalls(self.servers.pids) as servers:
                self.load(count, timeout_s=60)
            self.row["calls"] = {"worker": workers.each(count), "server": servers.each(count)}
        except FAILURES as error:  # the other figures stand
            self.row["calls_error"] = f"strace: {error}"
            print(f"bench: system calls of {self.row['name']} were not counted: {error}", file=sys.stderr)

    def finish(self):
        runs = self.row["runs"]
        self.row.update(count=self.count, idle=self.workers.idle, idle_each=self.workers.idle_each,
                        server_idle=self.servers.idle, worker_end=self.workers.read(), server_end=self.servers.read(),
                        **{key: statistics.median(run[key] for run in runs)
                           for key in ["workflowsPerSecond", "p50Ms", "p95Ms", "p99Ms"]})
        self.row["used"] = {side: {key: statistics.median(run[side][key] for run in runs) for key in runs[0][side]}
                            for side in ["worker", "server"]}
        self.say()

    def say(self):
        seconds = time.monotonic() - self.rig.began
        print(f"{seconds:5.0f} s  {matrix_report.progress(self.row)}", file=sys.stderr, flush=True)


def needs(names):
    chosen = {peer for server, worker, _ in cells(names) for peer in (PEER_OF.get(server), PEER_OF.get(worker)) if peer}
    if any(workload == "openloop" for _, _, workload in cells(names)):
        chosen.add("python_sdk")  # asks the server for the depth of its queues
    if any((workload, server) in CALLS_COUNTED for server, _, workload in cells(names)):
        chosen.add("strace")
    return sorted(chosen)


def versions(args):
    python = args.peers / "venv/bin/python"
    return {"temporal server": machine.first(r"Server ([^,)]+)", machine.output(args.peers / "bin/temporal", "--version")),
            "go sdk": machine.first(r"go.temporal.io/sdk (\S+)", (ROOT / "bench/peers/go/go.mod").read_text()),
            "go": machine.first(r"go(\d\S+)", machine.output("go", "version")),
            "python sdk": machine.python_version(python, "temporalio"),
            "python": machine.output(python, "-c", "import platform; print(platform.python_version())"),
            "typescript sdk": machine.npm_version(args.peers / "typescript", "@temporalio/worker"),
            "node": machine.output("node", "--version")}


def cells(names):
    """(server, worker, workload) of those that are measured; of an axis of which nothing is named, everything."""
    def wanted(axis, name):
        named = [n for n in names if n in axis]
        return not named or name in named
    return [(server, worker, workload) for workload, by_server in CELLS.items() for server, workers in by_server.items()
            for worker in workers
            if wanted(WORKLOADS, workload) and wanted(SERVERS, server) and wanted(WORKERS, worker)]


def run_workload(args, todo):
    """The runs of the cells alternate, so that a noisy minute hits all alike."""
    began = time.monotonic()
    for cell in todo:
        cell.attempt(cell.start)
        cell.attempt(cell.warm_up)
    for turn in range(args.runs):
        for cell in todo:
            if turn == 0 or time.monotonic() < began + BUDGETS_S[cell.workload]:
                cell.attempt(cell.measure)
    for cell in todo:
        if cell.worker in CALLS_COUNTED.get((cell.workload, cell.server), []):
            cell.attempt(cell.count_calls)
        cell.attempt(cell.finish)


def start_idle(cells_to_start):
    """Start what the cells need and read its idle memory: of the first worker and the first server of a kind while it is
    the only one, since later ones share its pages; of the others when all are up."""
    alone = set()
    for cell in cells_to_start:
        cell.attempt(cell.start)
        if "error" in cell.row:
            continue
        for kind, side in [(cell.worker, cell.workers), (PEER_OF.get(cell.server, "engine"), cell.servers)]:
            if kind not in alone:
                alone.add(kind)
                time.sleep(IDLE_S)
                side.read_idle()
    time.sleep(IDLE_S)
    for cell in cells_to_start:
        for side in [] if "error" in cell.row else [cell.workers, cell.servers]:
            if side.idle is None:
                side.read_idle()


def run(args, names):
    rig = Rig(args)
    try:
        todo = [Cell(rig, *cell) for cell in cells(names)
                if not {PEER_OF.get(cell[0]), PEER_OF.get(cell[1])} & set(args.without)]
        start_idle([cell for cell in todo if cell.workload != "openloop"])  # its workers come last
        for workload in WORKLOADS:
            run_workload(args, [cell for cell in todo if cell.workload == workload])
    finally:
        rig.stop()
    return [cell.row for cell in todo]
