# SPDX-License-Identifier: Apache-2.0
"""The hot parts one by one: instructions against the stored reference, and replay by the clock.

Callgrind counts what bench/micro does between its marks, in user space, all threads. So a count says nothing of system
calls, caches and waiting, but it repeats to half a percent on a machine that is busy with other things, and shows a
change of some percent that no clock would."""
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

from table import lines_of

MINUTES = 1
NAMES = {
    "grpc_call": "a gRPC call, client and server, one at a time",
    "grpc_calls_50": "the same in rounds of 50",
    "decode_task": "checked decode of a workflow task with nine events, what a worker reads of it",
    "decode_history": "checked decode of a history of 10,000 events, what a worker reads of it",
    "decode_answer": "checked decode of the answer to a workflow task, all of it",
    "pack": "packing the answer to a workflow task",
    "replay": "replay of 10,000 decoded events",
    "workflow_echo": "a workflow with one activity in the runtime, made and dropped",
    "workflow_echo_traced": "the same with its spans, in the trace of a client",
    "otlp_span": "a span of an activity attempt, encoded for a collector",
    "coroutine_switch": "a switch to a coroutine or back",
    "core_echo": "a workflow with one activity through the engine's core",
    "store_commit_50": "a commit of 50 transitions to SQLite on disk, with its share of checkpoints",
    "executor_job": "a job to a thread and its answer back",
}
REFERENCE = pathlib.Path(__file__).with_name("reference.json")
TOLERANCE = 0.02  # five repetitions differ by less than a quarter of this
# Where threads or the kernel's buffers have a say, a busy machine can only add to the work: the least of so many counts.
COUNTS = {"grpc_call": 3, "grpc_calls_50": 3, "executor_job": 3}
REPLAY_GOAL = 1e6  # events/s, from bytes
ACCEPT = "scripts/bench micro --accept"
PACKAGES = ["libnghttp2", "libevent", "libprotobuf-c", "sqlite3", "jansson", "libczmq", "libzmq"]


def needs(names):
    return ["valgrind"]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def environment(build):
    """What the counts depend on besides our code. The CPU: the C library picks its copies by it."""
    compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)[1]
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    return {"compiler": output(compiler, "--version").splitlines()[0],
            "libc": os.confstr("CS_GNU_LIBC_VERSION"),
            "machine": platform.machine() + (" avx2" if re.search(r"\bavx2\b", cpu) else ""),
            "valgrind": output("valgrind", "--version"),
            **{package: output("pkg-config", "--modversion", package) for package in PACKAGES}}


def count(program, part):
    """{"part", "unit", "instructions"}: of one unit; "error" when it cannot be counted."""
    counts = [count_once(program, part) for _ in range(COUNTS.get(part, 1))]
    return min(counts, key=lambda one: one.get("instructions", 0))


def count_once(program, part):
    cores = sorted(os.sched_getaffinity(0))
    core = cores[list(NAMES).index(part) % len(cores)]  # of its own: on two, who wakes whom first is the machine's mood
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["taskset", "-c", str(core), "valgrind", "--tool=callgrind", "--fair-sched=yes", f"--callgrind-out-file={folder}/out",
             "--zero-before=micro_begin", "--dump-before=micro_end", program, part],
            capture_output=True, text=True, timeout=120, env={**os.environ, "TMPDIR": folder})
        if done.returncode:
            return {"part": part, "error": " ".join(done.stderr.split())[-300:]}
        loop = json.loads(done.stdout)
        total = re.search(r"^summary: (\d+)", pathlib.Path(folder, "out.1").read_text(), re.MULTILINE)
        return {"part": part, "unit": loop["unit"], "instructions": round(int(total[1]) / loop["units"], 1)}


def compare(reference, here, counted):
    """Rows out of counts: each part beside its reference, with "error" when it costs more, or has none."""
    stored = reference.get("environment", {})
    differ = [f"{key} {stored.get(key)}, here {value}" for key, value in here.items() if stored.get(key) != value]
    rows = []
    for one in counted:
        row = {"suite": "micro", "name": one["part"], **one}
        rows.append(row)
        old = reference.get("parts", {}).get(one["part"], {}).get("instructions")
        if "error" in one:
            continue
        if not old:
            row["error"] = f"there is no reference for it; {ACCEPT} {one['part']} stores this one"
            continue
        row.update(reference=old, change=one["instructions"] / old - 1)
        what = f"{old:,} instructions per {one['unit']} before, {one['instructions']:,} now: {row['change']:+.1%}"
        if differ:
            row["skipped"] = "; ".join(differ)
        elif row["change"] > TOLERANCE:
            row["error"] = f"{what}. If that is the price of something, {ACCEPT} {one['part']} makes it the reference"
        elif row["change"] < -TOLERANCE:
            row["note"] = f"{what}. {ACCEPT} {one['part']} makes the reference follow"
    return rows


def accept(reference, here, counted):
    """The reference with what was counted now. Counts of another environment do not stay."""
    good = [one for one in counted if "error" not in one]
    old = reference.get("parts", {}) if reference.get("environment") == here else {}
    parts = {**old, **{one["part"]: {"unit": one["unit"], "instructions": one["instructions"]} for one in good}}
    return {"environment": here, "parts": {name: parts[name] for name in NAMES if name in parts}}


def speak(rows):
    for row in rows:
        if "instructions" in row:
            change = f"{row['change']:+7.1%} of {row['reference']:,}" if "change" in row else "no reference"
            print(f"{row['name']:17}{row['instructions']:13,.1f} instructions per {row['unit']:9}{change}", file=sys.stderr)
    for row in rows:
        if "error" in row or "note" in row:
            print(f"{'FAIL' if 'error' in row else 'note'}  {row['name']}: {row.get('error') or row['note']}",
                  file=sys.stderr)
    for why in {row["skipped"] for row in rows if "skipped" in row}:
        print(f"********** SKIP: counts are not compared, the reference is of another environment: {why}. "
              f"{ACCEPT} makes this one the reference **********", file=sys.stderr)


def replay_by_the_clock(program, runs):
    """A worker without the run in its cache gets bytes: decoding belongs to it."""
    figures = [[json.loads(output(program, part, "5")) for part in ("decode_history", "replay")] for _ in range(runs)]

    def events_per_second(key):
        return 1e9 / statistics.median(sum(part[key] for part in run) for run in figures)
    return {"suite": "micro", "name": "replay by the clock", "figures": figures,
            "events_per_second": events_per_second("ns_per_unit"),
            "events_per_cpu_second": events_per_second("cpu_ns_per_unit")}


def run(args, names):
    build = args.bin.parent
    output("cmake", "--build", build, "--target", "bench_micro")
    program, parts, here = args.bin / "bench_micro", names or list(NAMES), environment(build)
    if set(output(program).split()) != set(NAMES):
        raise RuntimeError("bench_micro has other parts than NAMES")
    reference = json.loads(REFERENCE.read_text()) if REFERENCE.exists() else {}
    if "valgrind" in args.without:
        rows = []
    else:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            counted = list(pool.map(lambda part: count(program, part), parts))
        if args.accept:
            reference = accept(reference, here, counted)
            REFERENCE.write_text(json.dumps(reference, indent=1) + "\n")
        rows = compare(reference, here, counted)
        speak(rows)
    if not names or "replay" in names:
        rows.append(replay_by_the_clock(program, args.runs))
    return rows


def sections(rows):
    cells = [[row["name"], NAMES[row["name"]], f"{row['instructions']:,.0f} per {row['unit']}",
              f"{row['change']:+.1%}" + (" (not compared)" if "skipped" in row else "") if "change" in row else "–"]
             for row in rows if "instructions" in row]
    return ["## Hot parts", "", "Instructions in user space (callgrind), and the change against the reference in "
            "`bench/reference.json`.", "", *lines_of(["part", "what", "instructions", "change"], cells)]


def goals(rows):
    measured = [row for row in rows if "events_per_second" in row]
    return [("replay of a 10,000-event history, decoding included: at least 1,000,000 events/s",
             "{events_per_second:,.0f} events/s; {events_per_cpu_second:,.0f} a second of CPU (runs: {runs})".format(
                 runs=len(measured[0]["figures"]), **measured[0])
             if measured else "–",
             measured[0]["events_per_second"] >= REPLAY_GOAL if measured else None)]
