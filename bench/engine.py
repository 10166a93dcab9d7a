# SPDX-License-Identifier: Apache-2.0
"""The engine by itself: start-up, 100,000 open workflows, and how its cost grows with what it has stored."""
import contextlib
import pathlib
import socket
import statistics
import sys
import time
import urllib.request

import procfs
from fleet import Fleet, free_port
from loadgen import FAILURES, load, reason, start_workers, stop, wait_until, wait_until_served
from table import lines_of, number

MINUTES = 9
NAMES = {
    "startup": "from exec on an empty folder to the first echo done; memory idle and loaded; the dev server beside it",
    "open": "100,000 workflows that wait for a signal: memory, start rate, restart, and that all of them end",
    "growth": "the cost of an echo at 1,000 to 1,000,000 stored workflows",
}
MODULES = "echo loadtest"
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


def page(fleet, path):
    with urllib.request.urlopen(f"http://{fleet.http}/{path}", timeout=30) as answer:
        return answer.read().decode()


def figure(fleet, name):
    """The sum of a metric's series."""
    return sum(float(line.split()[-1]) for line in page(fleet, "metrics").splitlines()
               if line.startswith(("%s " % name, "%s{" % name)))


def listens(target):
    host, _, port = target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10):
        return True


def each(args, fleet, what, count, prefix, *options, timeout_s=120):
    return load(args, fleet.target, "--each", what, "--count", count, "--concurrency", LANES, "--id-prefix", prefix,
                *options, timeout_s=timeout_s)


def echoes(args, fleet, count, concurrency=50):
    return load(args, fleet.target, "--count", count, "--concurrency", concurrency, "--expect", '"hello"')


def memory(process):
    return procfs.memory([process.child.pid])


# ---- start-up ----

def startup_once(args, server):
    """Milliseconds from exec; the workers are started at the same moment and find the server when it listens."""
    with fleet_of(args) as fleet:
        began = time.monotonic()
        process = start_engine(fleet) if server == "engine" else \
            fleet.real_server("--db-filename", f"{fleet.folder.name}/dev.db")
        start_workers(fleet, MODULES)
        wait_until("listening", lambda: listens(fleet.target), pause_s=0.001)
        wait_until_served(args, fleet.target, pause_s=0.005)
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
        start_workers(fleet, MODULES)
        wait_until_served(args, fleet.target)
        row = {"name": "open", "count": OPEN, "idle": memory(process)}
        row["start"] = each(args, fleet, "start", OPEN, "open", "--type", "SignalWorkflow", "--input", '{"n": 1}')
        wait_until("the first task of each", lambda: figure(fleet, "flotilla_engine_backlog_tasks") == 0, 120, 0.1)
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
        wait_until("being ready again", lambda: page(fleet, "ready"), 60, 0.001)
        row["restart_s"] = time.monotonic() - began
        row["restarted"] = memory(process)
        if (found := figure(fleet, "flotilla_engine_open_workflows")) != OPEN:
            raise RuntimeError(f"{found:.0f} of {OPEN} workflows are open after the restart")
        began = time.monotonic()
        row["signal"] = each(args, fleet, "signal", OPEN, "open", "--name", "ping")
        wait_until("the end of all", lambda: figure(fleet, "flotilla_engine_open_workflows") == 0, 120, 0.1)
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
        start_workers(fleet, MODULES)
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
        except FAILURES as error:
            rows.append({"suite": "engine", "name": name, "error": reason(error)})
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
    return ["Start-up on an empty folder, with a file, and the workers started at the same moment. First answer: to "
            "`flotilla list`, asked as soon as the port takes a connection, and every 5 ms. The dev server once, and "
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

    def goal(text, of, measured):
        """measured(row): (figure, held); of: the row, None when it failed or was not run."""
        return (text, *(measured(of) if of else ("not measured", None)))

    def started_at(row):
        return f"{number(row['first_done_ms'])} ms (runs: {len(row['runs'])})", row["first_done_ms"] <= 50

    def resident(row):
        return f"{number(row['first']['rss_mb'])} MB (runs: {len(row['runs'])})", row["first"]["rss_mb"] <= 10

    def bytes_each(row):
        return f"{row['bytes_each']:.0f} bytes (runs: 1)", row["bytes_each"] <= 2048

    def start_rate(row):
        rate = row["start"]["lastTenthPerSecond"] / row["start"]["firstTenthPerSecond"]
        return f"{rate:.0%} (runs: 1)", rate >= 0.8

    def growth_of_cpu(row):
        ratio = row["cpu_ms"] / first["cpu_ms"]
        return (f"{number(ratio)} times, at {row['stored']} (runs: 1)",
                ratio <= 2 if row["stored"] >= LEVELS[-1] else None)
    return [goal("engine, first workflow done after exec on an empty folder: at most 50 ms", started, started_at),
            goal("engine, resident then: at most 10 MB", started, resident),
            goal(f"{OPEN} open workflows: at most 2 KB each resident", waiting, bytes_each),
            goal(f"{OPEN} open workflows: the last tenth started at 80 % of the rate of the first, or faster", waiting,
                 start_rate),
            goal(f"engine CPU per echo with {LEVELS[-1]} workflows stored: at most twice that with {LEVELS[0]}",
                 first and last, growth_of_cpu)]
