#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark: workers x servers x workloads, each combination with processes of its own.

scripts/bench builds and installs what this needs and starts it; docs/benchmarks.md says what is measured."""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/support"), str(pathlib.Path(__file__).parent)]
import machine  # noqa: E402
import procfs  # noqa: E402
import table  # noqa: E402
from fleet import Fleet  # noqa: E402

POLLS, SLOTS = 10, 100  # of each kind, for every worker
IDLE_S = 2              # from a worker's start to the reading of its idle memory
COUNT_MAX = 20000       # workflows in a run
LATENCIES = ["p50Ms", "p95Ms", "p99Ms"]

# name: type, input, right result, in flight at once
WORKLOADS = {
    "echo": ("EchoWorkflow", "hello", "hello", 50),
    "chain10": ("ChainWorkflow", {"n": 10}, 45, 20),
    "fan50": ("FanWorkflow", {"n": 50}, 1225, 5),
}


def server_dev(fleet, args):
    return fleet.real_server()


def server_memory(fleet, args):
    return fleet.engine()


def server_file(fleet, args):
    return fleet.engine("--db", f"{fleet.folder.name}/engine.db")


SERVERS = {"dev": server_dev, "memory": server_memory, "file": server_file}


def workers_ours(fleet, args):
    return [fleet.worker("workflow-worker", "echo loadtest", "benchmark", max_concurrent_workflow_tasks=SLOTS,
                         max_concurrent_workflow_task_polls=POLLS),
            fleet.worker("io-activity-worker", "echo", "benchmark", max_concurrent_activities=SLOTS,
                         max_concurrent_activity_task_polls=POLLS)]


def peer_worker(fleet, name, *program):
    return [fleet.start(name, [*program, "--address", fleet.target, "--task-queue", "benchmark",
                               "--polls", POLLS, "--slots", SLOTS])]


def workers_python(fleet, args):
    return peer_worker(fleet, "python-worker", args.peers / "venv/bin/python", ROOT / "bench/peers/python/worker.py")


def workers_go(fleet, args):
    return peer_worker(fleet, "go-worker", args.peers / "bin/go-worker")


WORKERS = {"ours": workers_ours, "python": workers_python, "go": workers_go}


def wait_until_served(args, target):
    """Until the server answers for its namespace."""
    deadline = time.monotonic() + 30
    while subprocess.run([args.bin / "flotilla", "list", "--address", target, "--limit", "1"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("the server did not answer within 30 s")
        time.sleep(0.1)


def load(args, target, workload, count, timeout_s):
    kind, given, right, concurrency = WORKLOADS[workload]
    done = subprocess.run(
        [args.bin / "flotilla", "load", "--address", target, "--type", kind, "--input", json.dumps(given),
         "--expect", json.dumps(right), "--count", str(count), "--concurrency", str(concurrency),
         "--timeout", f"{timeout_s}s", "--output", "json"],
        capture_output=True, text=True, timeout=timeout_s + 20)
    if done.returncode:
        raise RuntimeError(f"{workload}: {' '.join(done.stderr.split())[-300:]}")
    return json.loads(done.stdout)


def measure(args, fleet, server_pids, worker_pids, workload):
    """Warm up, then the runs: medians of what load reports, CPU and switches over all runs together."""
    concurrency = WORKLOADS[workload][3]
    cold = load(args, fleet.target, workload, 2 * concurrency, 60)
    warm = load(args, fleet.target, workload, max(2 * concurrency, int(cold["workflowsPerSecond"])), 60)
    count = min(COUNT_MAX, max(2 * concurrency, int(warm["workflowsPerSecond"] * args.seconds)))
    before = {"server": procfs.read(server_pids), "worker": procfs.read(worker_pids)}
    runs = [load(args, fleet.target, workload, count, 20 + 5 * args.seconds) for _ in range(args.runs)]
    after = {"server": procfs.read(server_pids), "worker": procfs.read(worker_pids)}
    row = {"workload": workload, "count": count, "runs": runs,
           **{key: statistics.median(run[key] for run in runs) for key in ["workflowsPerSecond", *LATENCIES]}}
    for side in after:
        row[side] = {**after[side], **{
            f"{key}_per_1000": (after[side][what] - before[side][what]) * 1000 / count / args.runs
            for key, what in [("cpu_s", "cpu_s"), ("switches", "switches")]}}
    return row


def stop(fleet):
    """In reverse order; a child that does not obey is killed, and said to have been."""
    for process in reversed(fleet.processes):
        try:
            process.stop(timeout=15)
        except AssertionError as error:
            print(f"bench: {str(error).splitlines()[0]} killed", file=sys.stderr)
            process.child.wait()
    fleet.folder.cleanup()


def combination(args, server, worker, workloads):
    """The rows of one server with one kind of worker; a failure is a row, too."""
    fleet = Fleet(args.bin, args.peers / "bin/temporal")
    base, rows = {"server_name": server, "worker_name": worker}, []
    try:
        server_pids = [SERVERS[server](fleet, args).child.pid]
        wait_until_served(args, fleet.target)
        processes = WORKERS[worker](fleet, args)
        time.sleep(IDLE_S)
        worker_pids = [process.child.pid for process in processes]
        idle = {"idle": procfs.read(worker_pids), "server_idle": procfs.read(server_pids)}
        for workload in workloads:
            rows.append({**base, **idle, **measure(args, fleet, server_pids, worker_pids, workload)})
            print(table.progress(rows[-1]), file=sys.stderr, flush=True)
    except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, KeyError) as error:
        rows += [{**base, "workload": name, "error": " ".join(str(error).split())[:300]}
                 for name in workloads[len(rows):]]
        print(table.progress(rows[-1]), file=sys.stderr, flush=True)
    finally:
        stop(fleet)
    return rows


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--keep-table", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    known = [*WORKERS, *SERVERS, *WORKLOADS]
    for name in args.names:
        if name not in known:
            parser.error(f"there is no {name}; there are: {' '.join(known)}")
    return args


def main():
    args = parse()

    def chosen(axis):
        return [name for name in [n for n in axis if n in args.names] or axis if name not in args.without]

    data = ROOT / "build/bench"
    data.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(data)  # the servers' folders: on the disk of the project
    report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "runs": args.runs, "seconds": args.seconds, "polls": POLLS, "slots": SLOTS,
              "machine": machine.describe(data), "versions": machine.versions(args, ROOT)}
    report["rows"] = [row for server in chosen(SERVERS) for worker in chosen(WORKERS)
                      for row in combination(args, server, worker, chosen(WORKLOADS))]
    report["load_after"] = os.getloadavg()
    results = ROOT / "bench/results"
    results.mkdir(exist_ok=True)
    (results / f"{report['date'][:19].replace(':', '')}.json").write_text(json.dumps(report, indent=1) + "\n")
    text = table.markdown(report)
    if not args.keep_table:
        (results / "table.md").write_text(text)
    print(text)
    return 1 if any("error" in row for row in report["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
