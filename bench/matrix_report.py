# SPDX-License-Identifier: Apache-2.0
"""What the rows of matrix.py say: tables, ratios, goals."""
from table import lines_of, number

SERVER_NAMES = {"dev": "dev server, memory", "dev-file": "dev server, file", "dev-tuned": "dev server, memory, tuned",
                "dev-wal": "dev server, WAL file, tuned", "memory": "engine, memory", "file": "engine, file"}


def progress(row):
    head = f"{row['server']:9} {row['worker']:10} {row['workload']:10}"
    if "error" in row:
        return f"{head} FAILED: {row['error']}"
    return (f"{head} {number(row['workflowsPerSecond'])}/s, p50 {number(row['p50Ms'])} ms, worker CPU "
            f"{number(row['used']['worker']['cpu_s_per_1000'])} ms each, server {number(row['used']['server']['cpu_s_per_1000'])} ms each")


def index(rows):
    return {(row["server"], row["worker"], row["workload"]): row for row in rows if "error" not in row}


def split(row, side):
    """CPU with its user and system part; the kernel's ticks are coarse, so the parts are those of all runs together."""
    user, system = (sum(run[side][key] for run in row["runs"]) for key in ("user_s", "system_s"))
    cpu = row["used"][side]["cpu_s_per_1000"]
    if not user + system:
        return number(cpu)
    return f"{number(cpu)} ({number(cpu * user / (user + system))} + {number(cpu * system / (user + system))})"


def throughput(rows):
    header = ["workload", "server", "worker", "workflows/s", "p50 ms", "p95 ms", "p99 ms", "runs × workflows",
              "worker CPU s / 1,000 (user + system)", "server CPU s / 1,000 (user + system)",
              "switches each: worker", "server", "server writes KB each"]
    cells = []
    for row in rows:
        head = [row["workload"], SERVER_NAMES[row["server"]], row["worker"]]
        if "error" in row:
            cells.append([*head, "FAILED", *["–"] * 9])
            continue
        values = [row["workflowsPerSecond"], row["p50Ms"], row["p95Ms"], row["p99Ms"]]
        cells.append([*head, *map(number, values), f"{len(row['runs'])} × {row['count']}",
                      split(row, "worker"), split(row, "server"),
                      number(row["used"]["worker"]["switches_each"]), number(row["used"]["server"]["switches_each"]),
                      number(row["used"]["server"]["written_kb_each"])])
    return lines_of(header, cells)


def calls(rows):
    header = ["workload", "server", "worker", "worker's system calls each", "server's", "worker's flushes each",
              "server's", "the server's most frequent"]
    cells = []
    for row in rows:
        if "error" in row or "calls" not in row:
            continue
        worker, server = row["calls"]["worker"], row["calls"]["server"]
        most = sorted(server["by_name"].items(), key=lambda item: -item[1])[:4]
        cells.append([row["workload"], SERVER_NAMES[row["server"]], row["worker"],
                      *map(number, [worker["calls"], server["calls"], worker["flushes"], server["flushes"]]),
                      ", ".join(f"{name} {number(each)}" for name, each in most)])
    return lines_of(header, cells)


def memory(rows):
    """One line a process group: idle before its first workflow, and after the last workload that it served."""
    workers, servers = {}, {}
    for row in rows:
        if "error" not in row and row["idle"]:
            workers[row["worker"], row["server"]] = row["idle"], row["worker_end"]
            servers[row["server"]] = row["server_idle"], row["server_end"]
    groups = [(f"worker {worker}", SERVER_NAMES[server], *readings) for (worker, server), readings in workers.items()]
    groups += [(SERVER_NAMES[server], "", *readings) for server, readings in servers.items()]
    header = ["process", "on", "idle RSS MB", "idle PSS MB", "idle private MB", "peak RSS MB", "end PSS MB",
              "end private MB", "threads"]
    cells = []
    for name, other, idle, end in groups:
        values = [idle["rss_mb"], idle["pss_mb"], idle["private_mb"], end["rss_peak_mb"], end["pss_mb"],
                  end["private_mb"]]
        cells.append([name, other, *map(number, values), str(end["threads"])])
    return lines_of(header, cells)


def worker_ratios(rows):
    """Ours against each peer's worker on the same server."""
    by, cells = index(rows), []
    for (server, worker, workload), peer in by.items():
        ours = by.get((server, "ours", workload))
        if worker == "ours" or not ours:
            continue
        cells.append([workload, SERVER_NAMES[server], worker,
                      number(peer["used"]["worker"]["cpu_s_per_1000"] / ours["used"]["worker"]["cpu_s_per_1000"]),
                      number(peer["worker_end"]["rss_peak_mb"] / ours["worker_end"]["rss_peak_mb"]),
                      number(ours["workflowsPerSecond"] / peer["workflowsPerSecond"]),
                      number(peer["p50Ms"] / ours["p50Ms"])])
    header = ["workload", "server", "peer's worker", "its CPU / ours", "its peak RSS / ours", "our workflows/s / its",
              "its p50 / ours"]
    return lines_of(header, cells)


def server_ratios(rows):
    """Our engine against each dev server, with the same worker: a file with files, memory with memory."""
    by, cells = index(rows), []
    for engine, peers in [("memory", ["dev", "dev-tuned"]), ("file", ["dev-file", "dev-wal"])]:
        for (server, worker, workload), ours in by.items():
            for name in peers if server == engine else []:
                peer = by.get((name, worker, workload))
                if peer:
                    cells.append([workload, SERVER_NAMES[server], SERVER_NAMES[name], worker,
                                  number(ours["workflowsPerSecond"] / peer["workflowsPerSecond"]),
                                  number(peer["p50Ms"] / ours["p50Ms"]),
                                  number(peer["used"]["server"]["cpu_s_per_1000"] / ours["used"]["server"]["cpu_s_per_1000"]),
                                  number(peer["server_idle"]["rss_mb"] / ours["server_idle"]["rss_mb"])
                                  if peer["server_idle"] and ours["server_idle"] else "–"])
    header = ["workload", "engine", "against", "worker", "its workflows/s / theirs", "their p50 / its",
              "their CPU / its", "their idle RSS / its"]
    return lines_of(header, cells)


def depths(rows):
    header = ["server", "worker", "p50 ms", "p99 ms", "deepest queue", "mean depth", "errors"]
    cells = [[SERVER_NAMES[row["server"]], row["worker"], number(row["p50Ms"]), number(row["p99Ms"]),
              *([str(depth["max"]), number(depth["mean"])] if depth else ["–", "–"]), "0"]
             for row in rows if "error" not in row and row["workload"] == "openloop"
             for depth in [row["runs"][0].get("depth")]]
    return lines_of(header, cells) if cells else []


def sections(rows):
    lines = ["## Workers × servers × workloads", "", *throughput(rows)]
    for title, part in [("### Open loop, 30 echoes a second", depths(rows)), ("### Memory", memory(rows)),
                        ("### System calls, counted apart under strace", calls(rows)),
                        ("### Workers: ratios", worker_ratios(rows)), ("### Servers: ratios", server_ratios(rows))]:
        lines += [title, "", *part] if len(part) > 3 else []
    return lines


def ratio_goal(text, of, to, least):
    """A goal "least times": of and to are figures, or None when they were not measured."""
    if of is None or not to:
        return text, "not measured", None
    return text, f"1/{number(of / to)} ({number(to)} against {number(of)}; {runs(to, of)})", of / to >= least


def value_goal(text, value, unit, held):
    return (text, "not measured", None) if value is None else \
        (text, f"{number(value)} {unit} ({runs(value)})", held(value))


class Figure(float):
    """A figure and how many runs it is the median of; None when it was read once, outside of them."""

    def __new__(cls, value, count=None):
        self = super().__new__(cls, value)
        self.count = count
        return self


def runs(*figures):
    if any(figure.count is None for figure in figures):
        return "read once"
    return "runs: " + " and ".join(str(figure.count) for figure in figures)


class Figures:
    """figures(server, worker, workload, "key" or "key.key"): the row's, a number as a Figure, or None."""

    def __init__(self, rows):
        self.by = index(rows)

    def __call__(self, server, worker, workload, key):
        value = row = self.by.get((server, worker, workload))
        for part in key.split("."):
            value = value and value.get(part)
        if not isinstance(value, (int, float)):
            return value
        return Figure(value, None if key.startswith("idle") else len(row["runs"]))


def cpu_goals(get):
    cpu = "used.worker.cpu_s_per_1000"
    goals = []
    for workload, peers in [("echo", [("go", "Go", 10), ("python", "Python", 40)]), ("fan50", [("go", "Go", 10)])]:
        for peer, name, least in peers:
            text = f"worker CPU per {workload} on the dev server (memory, defaults) ≤ 1/{least} of the {name} SDK's, ms"
            goals.append(ratio_goal(text, get("dev", peer, workload, cpu), get("dev", "ours", workload, cpu), least))
    return goals


def idle_goals(get):
    def idle(worker, key):
        return get("dev", worker, "echo", f"idle.{key}")
    both = "idle workflow worker and IO worker together"
    each = get("dev", "ours", "echo", "idle_each")
    most = {key: each and Figure(max(process[key] for process in each)) for key in ["rss_mb", "private_mb"]}
    return [value_goal(f"{both}, resident ≤ 8 MB", idle("ours", "rss_mb"), "MB", lambda mb: mb <= 8),
            value_goal("idle, the larger of the two, resident ≤ 8 MB", most["rss_mb"], "MB", lambda mb: mb <= 8),
            ratio_goal(f"{both}, resident ≤ 1/3 of Go's, MB", idle("go", "rss_mb"), idle("ours", "rss_mb"), 3),
            ratio_goal(f"{both}, resident ≤ 1/7 of Python's, MB", idle("python", "rss_mb"), idle("ours", "rss_mb"), 7),
            value_goal("idle, the larger of the two, private ≤ 2.5 MB", most["private_mb"], "MB", lambda mb: mb <= 2.5),
            value_goal(f"{both}, private ≤ 2.5 MB", idle("ours", "private_mb"), "MB", lambda mb: mb <= 2.5)]


def engine_goals(get):
    rate, alone = get("file", "ours", "echo", "workflowsPerSecond"), get("file", "ours", "alone", "p50Ms")
    wal, cpu = get("dev-wal", "ours", "echo", "workflowsPerSecond"), "used.server.cpu_s_per_1000"
    faster = ("engine on file, echo, 50 in flight ≥ 40 × the tuned dev server on a WAL file, /s", "not measured", None)
    if rate and wal:
        faster = faster[0], f"{number(rate / wal)} × ({number(rate)} against {number(wal)}; {runs(rate, wal)})", rate >= 40 * wal
    return [value_goal("engine on file, echo, 50 in flight, our workers ≥ 2,000/s", rate, "/s", lambda r: r >= 2000),
            faster,
            ratio_goal("engine CPU per echo on file ≤ 1/60 of the dev server's on its file (rollback journal, defaults), ms",
                       get("dev-file", "ours", "echo", cpu), get("file", "ours", "echo", cpu), 60),
            ratio_goal("the same against the tuned dev server on a WAL file, ms",
                       get("dev-wal", "ours", "echo", cpu), get("file", "ours", "echo", cpu), 60),
            value_goal("p50 of one echo alone, durable ≤ 3 ms", alone, "ms", lambda ms: ms <= 3),
            ratio_goal("p50 of one echo alone, durable ≤ 1/7 of the tuned dev server's on a WAL file, ms",
                       get("dev-wal", "ours", "alone", "p50Ms"), alone, 7)]


def open_loop_goals(rows):
    """What a small fleet should hold, on our engine with a file; the dev server's figures stand in the table."""
    goals = []
    for row in rows:
        if (row["server"], row["worker"], row["workload"]) != ("file", "ours", "openloop"):
            continue
        text = f"open loop of 30/s on the {SERVER_NAMES[row['server']]}: p99 < 4 s, queue depth < 10, errors < 1 %"
        if "error" in row:
            goals.append((text, "failed", False))
            continue
        depth = row["runs"][0].get("depth")
        measured = f"p99 {number(row['p99Ms'])} ms, depth {depth['max'] if depth else '?'}, no errors (runs: {len(row['runs'])})"
        goals.append((text, measured, row["p99Ms"] < 4000 and depth["max"] < 10 if depth else None))
    return goals


def goals(rows):
    get = Figures(rows)
    return [*cpu_goals(get), *idle_goals(get), *engine_goals(get), *open_loop_goals(rows)]
