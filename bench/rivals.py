# SPDX-License-Identifier: Apache-2.0
"""What the suites against other engines and job queues share: our side of them, medians, and what a run cost."""
import concurrent.futures
import contextlib
import os
import resource
import signal
import statistics
import time
import urllib.request

import procfs
from fleet import Fleet
from loadgen import FAILURES, load, reason, start_workers, stop_all, wait_until, wait_until_served
from system_calls import SystemCalls
from table import number

QUIET_S = 1  # late work is waited for so long at most: workers that poll are never quite quiet
RESULTS = ["workflowsPerSecond", "p50Ms", "p95Ms", "p99Ms"]


def line_of(process, pattern, timeout_s=30):
    """The match of a compiled pattern in what a fleet's process prints, as soon as it is there."""
    def matches():
        return next(filter(None, map(pattern.search, process.output)), None)
    with process.changed:
        process.changed.wait_for(lambda: matches() or process.child.poll() is not None, timeout_s)
        found = matches()
    if not found:
        raise RuntimeError(f"{process.name} did not print {pattern.pattern}: {' '.join(process.output[-3:])[-200:]}")
    return found


class Ours:
    """The engine on a file and our two workers; a job is an echo workflow of one activity."""

    def __init__(self, args):
        self.args = args
        self.fleet = Fleet(args.bin)

    def start(self):
        fleet = self.fleet
        engine = fleet.engine("--db", f"{fleet.folder.name}/engine.db", "--http", "127.0.0.1:0")
        self.metrics = f"http://{engine.address('http')}/metrics"
        wait_until_served(self.args, fleet.target)
        workers = start_workers(fleet, "echo")
        self.server_pids, self.worker_pids = [engine.child.pid], [worker.child.pid for worker in workers]

    def loop(self, count, concurrency):
        """So many workflows, so many at once, each result awaited and checked."""
        return load(self.args, self.fleet.target, "--count", count, "--concurrency", concurrency)

    def drain(self, count):
        """So many workflows started while the workers stand still; from their going on until the last result is there."""
        with concurrent.futures.ThreadPoolExecutor(1) as background:
            loaded = background.submit(self.loop, count, count)
            try:
                wait_until("starting all workflows", lambda: loaded.done() or self.open_workflows() >= count)
                begin = time.monotonic()
            finally:
                let_go(self.worker_pids)  # else the load would not end
            loaded.result()
            return drained(count, time.monotonic() - begin)

    def open_workflows(self):
        with urllib.request.urlopen(self.metrics, timeout=10) as page:
            return next(int(float(line.split()[1])) for line in page.read().decode().splitlines()
                        if line.startswith("flotilla_engine_open_workflows "))


def drained(count, seconds):
    return {"completed": count, "elapsedMs": seconds * 1000, "workflowsPerSecond": count / seconds}


def hold(pids):
    """Processes and their descendants stand still (SIGSTOP) until let_go()."""
    signal_families(pids, signal.SIGSTOP)


def let_go(pids):
    signal_families(pids, signal.SIGCONT)


def signal_families(pids, what):
    """Those that live."""
    for pid in pids:
        with contextlib.suppress(*procfs.GONE):
            for member in procfs.family(pid):
                with contextlib.suppress(*procfs.GONE):
                    os.kill(member, what)


@contextlib.contextmanager
def held_after(setup):
    """At the end the workers stand still, whatever happened."""
    try:
        yield
    finally:
        hold(getattr(setup, "worker_pids", []))


class Side:
    """A set-up (start(), loop(), server_pids, worker_pids, fleet) and its row; once failed, nothing more is asked of it."""

    runs_at_most = None  # fewer than the others have

    def __init__(self, suite, name, setup):
        self.setup, self.error = setup, None
        self.row = {"suite": suite, "name": name}

    def attempt(self, step, *given):
        if self.error:
            return
        try:
            step(*given)
        except FAILURES as error:
            self.error = reason(error)

    def result(self):
        return {**self.row, "error": self.error} if self.error else self.row


def measure(sides_, seconds, runs):
    """Start all sides, run the shapes of their rows side by side, so many times, and finish: their rows."""
    try:
        for side in sides_:
            side.attempt(side.start, seconds)
        for turn in range(runs):
            for shape in sides_[0].row["runs"]:
                for side in sides_:
                    if turn < (side.runs_at_most or runs):
                        side.attempt(side.run, shape)
        for side in sides_:
            side.attempt(side.finish)
    finally:
        for side in sides_:  # one that stands still would not hear that it is to end
            let_go(getattr(side.setup, "worker_pids", []))
        stop_all(side.setup.fleet for side in sides_)
    return [side.result() for side in sides_]


def cost(setup, run, *given):
    """run(*given) of a set-up: its report, with the CPU milliseconds that each job cost its server and its workers, until
    they are quiet again, and the program that makes the load, its start included."""
    before, load_before = {side: procfs.read(pids)["cpu_s"] for side, pids in sides(setup)}, children_cpu_s()
    report = run(*given)
    report["loadCpuMs"] = (children_cpu_s() - load_before) * 1000 / report["completed"]
    procfs.wait_until_quiet(setup.server_pids + setup.worker_pids, at_most_s=QUIET_S)
    for side, pids in sides(setup):
        report[f"{side}CpuMs"] = (procfs.read(pids)["cpu_s"] - before[side]) * 1000 / report["completed"]
    return report


def children_cpu_s():
    """Of the children that have ended: between two calls, the load's."""
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def sides(setup):
    return [("server", setup.server_pids), ("worker", setup.worker_pids)]


def memory(setup):
    return {side: procfs.memory(pids)["rss_mb"] for side, pids in sides(setup)}


def medians(reports):
    """{figure: median} of the figures that every report has."""
    return {key: statistics.median(report[key] for report in reports)
            for key, value in reports[0].items() if isinstance(value, (int, float)) and not isinstance(value, bool)
            and all(key in report for report in reports)}


def flushes(setup, count, concurrency):
    """Disk flushes of the server for each job, in a run of its own: strace slows it down."""
    with SystemCalls(setup.server_pids) as calls:
        setup.loop(count, concurrency)
    return calls.each(count)["flushes"]


def ratio_goal(text, by, rivals_, ratio, least):
    """A goal's line: ratio(ours, rival) is at least so much for the rival that comes closest. by: {name: row} of those
    that have figures; without one of rivals_, or ours, it is not measured."""
    missing = [name for name in ["ours", *rivals_] if name not in by]
    if missing:
        return text, f"not measured: no figures of {' and '.join(missing)}", None
    worst = min(rivals_, key=lambda name: ratio(by["ours"], by[name]))
    value = ratio(by["ours"], by[worst])
    runs = " and ".join(str(min(map(len, by[name]["runs"].values()))) for name in ("ours", worst))
    return text, f"{number(value)} ({worst}; runs: {runs})", value >= least
