# SPDX-License-Identifier: Apache-2.0
"""The engine by itself: start-up, 100,000 open workflows, and how its cost grows with what it has stored."""
import contextlib
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

import procfs
from fleet import Fleet, free_port
from loadgen import load, stop, wait_until_served
from table import lines_of, number

MINUTES = 9
NAMES = {
    "startup": "from exec on an empty folder to the first echo done; memory idle and loaded; the dev server beside it",
    "open": "100,000 workflows that wait for a signal: memory, start rate, restart, and that all of them end",
    "growth": "the cost of an echo at 1,000 to 1,000,000 stored workflows",
}
OPEN = 100_000
LEVELS = [1_000, 10_000, 100_000, 1_000_000]
GROWTH_S = 360    # for all of growth: on a slow machine the last level is what was reached by then
FILL = 25_000     # workflows are started and ended in portions of so many
ECHOES = 2_000    # measured at each level, and in the loaded reading of memory
LANES = 200       # calls under way at once where only calls are made


# ---- one engine, or what stands beside it ----

@contextlib.contextmanager
def fleet_of(args):
    fleet = Fleet(args.bin, args.peers / "bin/temporal")
    try:
        yield fleet
    finally:
        stop(fleet)


def start_engine(fleet):
    """On the file engine.db of the fleet's folder, at an address that stays the same over a restart."""
    if not fleet.target:
        fleet.target, fleet.http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    return fleet.start("flotilla-engine", [fleet.bin / "flotilla-engine", "--listen", fleet.target, "--http", fleet.http,
                                           "--db", f"{fleet.folder.name}/engine.db"])


def start_dev_server(fleet):
    fleet.target = f"127.0.0.1:{free_port()}"
    return fleet.start("temporal", [fleet.temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port",
                                    fleet.target.rpartition(":")[2], "--log-level", "error", "--db-filename",
                                    f"{fleet.folder.name}/dev.db"])


def start_workers(fleet):
    """With polls and slots as in the matrix."""
    fleet.worker("workflow-worker", "echo loadtest", "benchmark", max_concurrent_workflow_tasks=100,
                 max_concurrent_workflow_task_polls=10)
    fleet.worker("io-activity-worker", "echo", "benchmark", max_concurrent_activities=100,
                 max_concurrent_activity_task_polls=10)


def page(fleet, path):
    with urllib.request.urlopen(f"http://{fleet.http}/{path}", timeout=30) as answer:
        return answer.read().decode()


def figure(fleet, name):
    """The sum of a metric's series."""
    return sum(float(line.split()[-1]) for line in page(fleet, "metrics").splitlines()
               if line.startswith(("%s " % name, "%s{" % name)))


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.001 if seconds <= 60 else 0.1)


def each(args, fleet, what, count, prefix, *options, timeout_s=120):
    return load(args, fleet.target, "--each", what, "--count", count, "--concurrency", LANES, "--id-prefix", prefix,
                *options, timeout_s=timeout_s)


def echoes(args, fleet, count, concurrency=50):
    return load(args, fleet.target, "--count", count, "--concurrency", concurrency, "--expect", '"hello"')


def memory(process):
    use = procfs.read([process.child.pid])
    return {key: use[key] for key in ("rss_mb", "rss_peak_mb", "pss_mb", "private_mb")}


# ---- start-up ----

def startup_once(args, server):
    """Milliseconds from exec; the workers are started at the same moment and find the server when it listens."""
    with fleet_of(args) as fleet:
        began = time.monotonic()
        process = start_engine(fleet) if server == "engine" else start_dev_server(fleet)
        start_workers(fleet)
        if server == "engine":
            wait_for(lambda: page(fleet, "health"), 30, "health")
        else:
            wait_until_served(args, fleet.target)
        answered = time.monotonic()
        first = load(args, fleet.target, "--count", 1, "--expect", '"hello"')
        done = time.monotonic()
        row = {"answered_ms": (answered - began) * 1e3, "first_done_ms": (done - began) * 1e3,
               "first_alone_ms": first["p50Ms"], "first": memory(process)}
        time.sleep(1)
        row["idle"] = memory(process)
        echoes(args, fleet, ECHOES if server == "engine" else ECHOES // 10)
        row["loaded"] = memory(process)
        return row


def startup(args):
    for server in ("engine", "dev"):
        if server == "dev" and "temporal_server" in args.without:
            yield {"name": "startup dev", "error": f"SKIPPED: {args.without['temporal_server']}"}
            continue
        runs = [startup_once(args, server) for _ in range(args.runs if server == "engine" else 1)]
        yield {"name": f"startup {server}", "runs": runs,
               **{key: statistics.median(run[key] for run in runs)
                  for key in ("answered_ms", "first_done_ms", "first_alone_ms")},
               **{key: {part: statistics.median(run[key][part] for run in runs) for part in runs[0][key]}
                  for key in ("first", "idle", "loaded")}}


# ---- many open workflows ----

def open_workflows(args):
    """They have had their first task and wait for the signal `ping`, which comes after a restart."""
    with fleet_of(args) as fleet:
        process = start_engine(fleet)
        start_workers(fleet)
        wait_until_served(args, fleet.target)
        row = {"name": "open", "count": OPEN, "idle": memory(process)}
        row["start"] = each(args, fleet, "start", OPEN, "open", "--type", "SignalWorkflow", "--input", '{"n": 1}')
        wait_for(lambda: figure(fleet, "approximate_backlog_count") == 0, 120, "the first task of each")
        time.sleep(2)  # the last commit
        row["waiting"] = memory(process)
        row["bytes_each"] = (row["waiting"]["rss_mb"] - row["idle"]["rss_mb"]) * 1e6 / OPEN
        row["database_bytes_each"] = database_bytes(fleet) / OPEN
        began = time.monotonic()
        process.stop(timeout=60)
        row["stop_s"] = time.monotonic() - began
        fleet.processes.remove(process)
        began = time.monotonic()
        process = start_engine(fleet)
        fleet.processes.insert(0, fleet.processes.pop())  # the server is the last that is stopped
        wait_for(lambda: page(fleet, "ready"), 60, "ready again")
        row["restart_s"] = time.monotonic() - began
        row["restarted"] = memory(process)
        if (found := figure(fleet, "flotilla_engine_open_workflows")) != OPEN:
            raise RuntimeError(f"{found:.0f} of {OPEN} workflows are open after the restart")
        began = time.monotonic()
        row["signal"] = each(args, fleet, "signal", OPEN, "open", "--name", "ping")
        wait_for(lambda: figure(fleet, "flotilla_engine_open_workflows") == 0, 120, "the end of all")
        row["all_closed_s"] = time.monotonic() - began
        time.sleep(2)
        row["closed"] = memory(process)
        yield row


# ---- many stored workflows ----

def database_bytes(fleet):
    return sum(file.stat().st_size for file in pathlib.Path(fleet.folder.name).glob("engine.db*"))


def fill(args, fleet, stored, level, deadline):
    """Start and terminate workflows that nobody works on, until there are level, or the time is over."""
    while stored < level and time.monotonic() < deadline:
        count = min(FILL, level - stored)
        given = ["--type", "EchoWorkflow", "--task-queue", "nobody", "--input", '"hello"']
        each(args, fleet, "start", count, f"fill-{stored}", *given)
        each(args, fleet, "terminate", count, f"fill-{stored}")
        stored += count
    return stored


def growth(args):
    deadline = time.monotonic() + GROWTH_S
    with fleet_of(args) as fleet:
        process = start_engine(fleet)
        start_workers(fleet)
        wait_until_served(args, fleet.target)
        echoes(args, fleet, 500)
        stored = 500
        for level in LEVELS:
            began, before = time.monotonic(), stored
            stored = fill(args, fleet, stored, level, deadline - 10)
            filled_per_s = (stored - before) / (time.monotonic() - began)
            echoes(args, fleet, 200)
            bytes_before, use = database_bytes(fleet), procfs.read([process.child.pid])
            report = echoes(args, fleet, ECHOES)
            after = procfs.read([process.child.pid])
            alone = echoes(args, fleet, 100, 1)
            yield {"name": f"growth {level}", "level": level, "stored": stored, "filled_per_s": filled_per_s,
                   "report": report, "cpu_ms": (after["cpu_s"] - use["cpu_s"]) * 1e3 / ECHOES,
                   "alone_p50_ms": alone["p50Ms"], "database_bytes_each": bytes_before / stored,
                   "rss_mb": after["rss_mb"]}
            stored += 200 + ECHOES + 100


# ---- the suite ----

PARTS = {"startup": startup, "open": open_workflows, "growth": growth}


def needs(names):
    return ["temporal_server"] if not names or "startup" in names else []


def run(args, names):
    rows = []
    for name in names or PARTS:
        try:
            for row in PARTS[name](args):
                rows.append({"suite": "engine", **row})
                print(f"engine: {row['name']} {progress(rows[-1])}", file=sys.stderr, flush=True)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            rows.append({"suite": "engine", "name": name, "error": " ".join(str(error).split())[:300]})
            print(f"engine: {name}: {rows[-1]['error']}", file=sys.stderr, flush=True)
    return rows


def progress(row):
    if "first_done_ms" in row:
        return f"first echo after {number(row['first_done_ms'])} ms"
    if "bytes_each" in row:
        return f"{number(row['bytes_each'])} bytes each, all closed"
    if "report" in row:
        return f"CPU {number(row['cpu_ms'])} ms each, {number(row['report']['workflowsPerSecond'])}/s"
    return row.get("error", "")


def startup_section(rows):
    if not rows:
        return []
    cells = [[row["name"].split()[1], *(number(row[key]) for key in ("answered_ms", "first_done_ms")),
              *(number(row[key]["rss_mb"]) for key in ("first", "idle", "loaded")), number(row["loaded"]["pss_mb"])]
             for row in rows]
    return ["Start-up on an empty folder, with a file, and the workers started at the same moment. The dev server once, and "
            f"loaded with {ECHOES // 10} echoes where ours had {ECHOES}.", "",
            *lines_of(["server", "first answer, ms", "first echo done, ms", "RSS then, MB", "RSS idle", "RSS loaded",
                       "PSS loaded"], cells)]


def open_section(rows):
    lines = []
    for row in rows:
        cells = [["resident each, bytes", number(row["bytes_each"])],
                 ["on disk each, bytes", number(row["database_bytes_each"])],
                 ["resident in all, MB: idle, waiting, after a restart, all closed",
                  ", ".join(number(row[key]["rss_mb"]) for key in ("idle", "waiting", "restarted", "closed"))],
                 *[[f"{what} a second: first tenth, last tenth, p99 ms",
                    ", ".join(number(row[key][part]) for part in ("firstTenthPerSecond", "lastTenthPerSecond", "p99Ms"))]
                   for what, key in (("starts", "start"), ("signals", "signal"))],
                 ["stop and start again with them, s", f"{number(row['stop_s'])}, {number(row['restart_s'])}"],
                 ["from the first signal to the end of the last workflow, s", number(row["all_closed_s"])]]
        lines += [f"{row['count']} workflows that wait for a signal, each after its first task:", "",
                  *lines_of(["", "measured"], cells)]
    return lines


def growth_section(rows):
    if not rows:
        return []
    cells = [[str(row["stored"]), number(row["cpu_ms"]), number(row["report"]["workflowsPerSecond"]),
              number(row["report"]["p50Ms"]), number(row["alone_p50_ms"]), number(row["database_bytes_each"]),
              number(row["rss_mb"]), number(row["filled_per_s"])] for row in rows]
    return [f"Growth: {ECHOES} echoes, 50 in flight, with so many workflows stored; most of those were started and "
            "terminated, with a history of 3 events.", "",
            *lines_of(["stored", "engine CPU per echo, ms", "echoes/s", "p50, ms", "p50 alone, ms", "database bytes each",
                       "RSS, MB", "filled per s"], cells)]


def sections(rows):
    rows = [row for row in rows if "error" not in row]
    return ["## The engine by itself", "", *startup_section([row for row in rows if "first_done_ms" in row]),
            *open_section([row for row in rows if "bytes_each" in row]),
            *growth_section([row for row in rows if "report" in row])]


def goals(rows):
    rows = {row["name"]: row for row in rows if "error" not in row}
    started, waiting = rows.get("startup engine"), rows.get("open")
    first, last = (rows.get(f"growth {level}") for level in (LEVELS[0], LEVELS[-1]))
    found = []
    if started:
        done, resident = started["first_done_ms"], started["first"]["rss_mb"]
        found += [("engine, first workflow done after exec on an empty folder: at most 50 ms", f"{number(done)} ms",
                   done <= 50), ("engine, resident then: at most 10 MB", f"{number(resident)} MB", resident <= 10)]
    if waiting:
        rate = waiting["start"]["lastTenthPerSecond"] / waiting["start"]["firstTenthPerSecond"]
        found += [(f"{OPEN} open workflows: at most 2 KB each resident", f"{waiting['bytes_each']:.0f} bytes",
                   waiting["bytes_each"] <= 2048),
                  (f"{OPEN} open workflows: the last tenth started at 80 % of the rate of the first, or faster",
                   f"{rate:.0%}", rate >= 0.8)]
    if first and last:
        ratio = last["cpu_ms"] / first["cpu_ms"]
        found.append((f"engine CPU per echo with {LEVELS[-1]} workflows stored: at most twice that with {LEVELS[0]}",
                      f"{number(ratio)} times, at {last['stored']}",
                      ratio <= 2 if last["stored"] >= LEVELS[-1] else None))
    return found
