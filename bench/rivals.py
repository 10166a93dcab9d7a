# SPDX-License-Identifier: Apache-2.0
"""What the suites against other engines and job queues share: our side of them, medians, and what a run cost."""
import concurrent.futures
import os
import signal
import statistics
import subprocess
import time
import urllib.request

import procfs
from fleet import Fleet
from loadgen import load, wait_until_served
from system_calls import SystemCalls

POLLS, SLOTS = 10, 100  # of our workers, of each kind
RESULTS = ["workflowsPerSecond", "p50Ms", "p95Ms", "p99Ms"]


def wait_until(what, condition, timeout_s=30, pause_s=0.005):
    """Look until condition() holds; an error after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not happen within {timeout_s} s")
        time.sleep(pause_s)


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
        workers = [fleet.worker("workflow-worker", "echo", "benchmark", max_concurrent_workflow_tasks=SLOTS,
                                max_concurrent_workflow_task_polls=POLLS),
                   fleet.worker("io-activity-worker", "echo", "benchmark", max_concurrent_activities=SLOTS,
                                max_concurrent_activity_task_polls=POLLS)]
        self.server_pids, self.worker_pids = [engine.child.pid], [worker.child.pid for worker in workers]

    def loop(self, count, concurrency):
        """So many workflows, so many at once, each result awaited and checked."""
        return load(self.args, self.fleet.target, "--count", count, "--concurrency", concurrency)

    def drain(self, count):
        """So many workflows started while the workers stand still; from their going on until the last result is there."""
        with concurrent.futures.ThreadPoolExecutor(1) as background:
            loaded = background.submit(self.loop, count, count)
            wait_until("starting all workflows", lambda: loaded.done() or self.open_workflows() >= count)
            begin = time.monotonic()
            let_go(self.worker_pids)
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
    for pid in [member for pid in pids for member in procfs.family(pid)]:
        os.kill(pid, signal.SIGSTOP)


def let_go(pids):
    for pid in [member for pid in pids for member in procfs.family(pid)]:
        os.kill(pid, signal.SIGCONT)


class Side:
    """A set-up (start(), loop(), server_pids, worker_pids, fleet) and its row; once failed, nothing more is asked of it."""

    def __init__(self, suite, name, setup):
        self.setup, self.error = setup, None
        self.row = {"suite": suite, "name": name}

    def attempt(self, step, *given):
        if self.error:
            return
        try:
            step(*given)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            self.error = " ".join(str(error).split())[:300]

    def result(self):
        return {**self.row, "error": self.error} if self.error else self.row


def cost(setup, run, *given):
    """run(*given) of a set-up: its report, with the CPU milliseconds that each job cost its server and its workers."""
    before = {side: procfs.read(pids)["cpu_s"] for side, pids in sides(setup)}
    report = run(*given)
    for side, pids in sides(setup):
        report[f"{side}CpuMs"] = (procfs.read(pids)["cpu_s"] - before[side]) * 1000 / report["completed"]
    return report


def sides(setup):
    return [("server", setup.server_pids), ("worker", setup.worker_pids)]


def memory(setup):
    return {side: procfs.read(pids)["rss_mb"] for side, pids in sides(setup)}


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
