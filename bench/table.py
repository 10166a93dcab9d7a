# SPDX-License-Identifier: Apache-2.0
"""A benchmark's report as Markdown: the measurements, and the ratios of what was measured in the same run."""

SERVER_NAMES = {"dev": "Temporal dev server, memory", "memory": "engine, memory", "file": "engine, file"}


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def progress(row):
    head = f"{row['server_name']:7} {row['worker_name']:7} {row['workload']:8}"
    if "error" in row:
        return f"{head} FAILED: {row['error']}"
    return (f"{head} {number(row['workflowsPerSecond'])}/s, worker CPU {number(row['worker']['cpu_s_per_1000'])} "
            f"ms each, server {number(row['server']['cpu_s_per_1000'])} ms each")


def lines_of(header, rows):
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header),
            *["| " + " | ".join(row) + " |" for row in rows], ""]


def throughput(rows):
    header = ["server", "worker", "workload", "workflows/s", "p50 ms", "p95 ms", "p99 ms",
              "worker CPU s / 1,000", "server CPU s / 1,000", "worker switches / workflow"]
    cells = []
    for row in rows:
        head = [SERVER_NAMES[row["server_name"]], row["worker_name"], row["workload"]]
        if "error" in row:
            cells.append([*head, f"FAILED: {row['error'].replace('|', '/')}", *[""] * 6])
            continue
        values = [row["workflowsPerSecond"], row["p50Ms"], row["p95Ms"], row["p99Ms"], row["worker"]["cpu_s_per_1000"],
                  row["server"]["cpu_s_per_1000"], row["worker"]["switches_per_1000"] / 1000]
        cells.append([*head, *map(number, values)])
    return lines_of(header, cells)


def memory(rows):
    """One line a process group: idle before its first workflow, and after the last workload of the combination."""
    last = {}
    for row in rows:
        if "error" not in row:
            last[row["server_name"], row["worker_name"]] = row
    header = ["process", "with", "idle RSS MB", "idle PSS MB", "idle private MB", "peak RSS MB", "end PSS MB", "threads"]
    cells = []
    for (server, worker), row in last.items():
        for name, other, idle, end in [(f"worker {worker}", SERVER_NAMES[server], row["idle"], row["worker"]),
                                       (SERVER_NAMES[server], f"worker {worker}", row["server_idle"], row["server"])]:
            values = [idle["rss_mb"], idle["pss_mb"], idle["private_mb"], end["rss_peak_mb"], end["pss_mb"]]
            cells.append([name, other, *map(number, values), str(end["threads"])])
    return lines_of(header, cells)


def worker_ratios(rows):
    """Ours against each peer's worker on the same server."""
    by = {(r["server_name"], r["worker_name"], r["workload"]): r for r in rows if "error" not in r}
    cells = []
    for (server, worker, workload), peer in by.items():
        ours = by.get((server, "ours", workload))
        if worker == "ours" or not ours or not ours["worker"]["cpu_s_per_1000"]:
            continue
        cells.append([SERVER_NAMES[server], worker, workload,
                      number(peer["worker"]["cpu_s_per_1000"] / ours["worker"]["cpu_s_per_1000"]),
                      number(peer["idle"]["rss_mb"] / ours["idle"]["rss_mb"]),
                      number(peer["worker"]["rss_peak_mb"] / ours["worker"]["rss_peak_mb"]),
                      number(ours["workflowsPerSecond"] / peer["workflowsPerSecond"])])
    header = ["server", "peer's worker", "workload", "its CPU / ours", "its idle RSS / ours", "its peak RSS / ours",
              "our workflows/s / its"]
    return lines_of(header, cells)


def server_ratios(rows):
    """Our engine against the dev server, with the same workers."""
    by = {(r["server_name"], r["worker_name"], r["workload"]): r for r in rows if "error" not in r}
    cells = []
    for (server, worker, workload), ours in by.items():
        peer = by.get(("dev", worker, workload))
        if server == "dev" or not peer or not ours["server"]["cpu_s_per_1000"]:
            continue
        cells.append([SERVER_NAMES[server], worker, workload,
                      number(peer["server"]["cpu_s_per_1000"] / ours["server"]["cpu_s_per_1000"]),
                      number(peer["server_idle"]["rss_mb"] / ours["server_idle"]["rss_mb"]),
                      number(ours["workflowsPerSecond"] / peer["workflowsPerSecond"]),
                      number(peer["p50Ms"] / ours["p50Ms"])])
    header = ["engine", "worker", "workload", "dev server's CPU / its", "dev server's idle RSS / its",
              "its workflows/s / dev server's", "dev server's p50 / its"]
    return lines_of(header, cells)


def markdown(report):
    where, rows = report["machine"], report["rows"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version)
    loads = " and ".join(number(average[0]) for average in (where["load_before"], report["load_after"]))
    return "\n".join([
        "# Benchmark", "",
        f"{report['date']}; {where['cores']} cores of {where['cpu']}, {where['memory_gb']} GB, Linux {where['kernel']}, "
        f"{where['flushes_per_second']} fdatasync/s; load average before and after: {loads}. {versions}. "
        f"Medians of {report['runs']} runs of about {number(report['seconds'])} s; every worker has {report['polls']} "
        f"polls and {report['slots']} slots of each kind; load, server and workers share the cores.", "",
        "## Measured", "", *throughput(rows), "## Memory", "", *memory(rows),
        "## Workers: ratios", "", *worker_ratios(rows), "## Servers: ratios", "", *server_ratios(rows)])
