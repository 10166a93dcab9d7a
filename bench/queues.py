# SPDX-License-Identifier: Apache-2.0
"""Durable jobs: an echo workflow on our engine with a file, against job queues on Redis with an append-only file."""
import json
import os
import shutil
import socket
import sys
import time

import machine
import rivals
from fleet import Fleet, free_port
from loadgen import output_of, wait_until
from table import lines_of, number

MINUTES = 6
PEERS = {
    "arq-default": "arq: max_jobs 10, poll_delay 0.5 s for the queue and for a result (only with fsync always)",
    "arq": "arq at its best: uvloop, max_jobs 100, poll_delay 5 ms and 20 ms for a result, results kept for 60 s",
    "celery-default": "Celery: prefork with 2 processes, 5 producers (only with fsync always)",
    "celery": "Celery at its best: 64 messages fetched ahead, no gossip, mingle, heartbeat, remote control, rate limits",
    "asynq": "asynq: concurrency 50, TaskCheckInterval 5 ms, 100 connections, a result looked for every 5 ms",
    "bullmq": "BullMQ: concurrency 50, results awaited by QueueEvents, finished jobs removed (the last 1,000 in the loop)",
}
POLICIES = {"always": "Redis with appendfsync always", "everysec": "Redis with appendfsync everysec"}
NAMES = {**PEERS, **POLICIES}
ALWAYS_ONLY = ["arq-default", "celery-default"]
IN_FLIGHT = 50
DRAIN_MAX = 8000  # jobs in a full queue: so many results of ours can be awaited on one connection
RUNS_AT_MOST = {"everysec": 3}  # for time: no goal is about it
COUNT_STEP = 50   # counts are multiples of it
# What a queue's jobs are counted by, and those that failed.
KEYS = {
    "arq": (["ZCARD arq:queue"], []),
    "celery": (["LLEN celery", "HLEN unacked"], []),
    "asynq": (["LLEN asynq:{default}:pending", "LLEN asynq:{default}:active"],
              ["ZCARD asynq:{default}:retry", "ZCARD asynq:{default}:archived"]),
    "bullmq": (["LLEN bull:bench:wait", "LLEN bull:bench:active"], ["ZCARD bull:bench:failed"]),
}
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")


class Queue:
    """A job queue on a Redis of its own."""

    def __init__(self, args, name, policy):
        self.args, self.policy = args, policy
        self.peer, _, variant = name.partition("-")
        self.variant = variant or "tuned"
        self.fleet = Fleet(args.bin)

    def start(self):
        self.port = free_port()
        redis = self.fleet.start("redis-server", [
            self.args.peers / "bin/redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir",
            self.fleet.folder.name, "--save", "", "--appendonly", "yes", "--appendfsync", self.policy])
        wait_until("Redis's start", self.connect)
        self.env = {"REDIS_PORT": str(self.port), "VARIANT": self.variant, "PYTHONDONTWRITEBYTECODE": "1"}
        worker = self.fleet.start(f"{self.peer} worker", self.worker(), self.env)
        self.server_pids, self.worker_pids = [redis.child.pid], [worker.child.pid]

    def connect(self):
        try:
            self.redis = socket.create_connection(("127.0.0.1", self.port), timeout=10).makefile("rwb")
        except ConnectionRefusedError:
            return False
        return True

    def program(self):
        """The producer, by peer; the worker, too, but for Celery."""
        peers = self.args.peers
        return {"arq": [peers / "arq/bin/python", f"{PROGRAMS}/arq/jobs.py", self.port, self.variant],
                "celery": [peers / "celery/bin/python", f"{PROGRAMS}/celery/jobs.py"],
                "asynq": [peers / "bin/asynq-jobs", self.port],
                "bullmq": ["node", peers / "bullmq/jobs.mjs", self.port]}[self.peer]

    def worker(self):
        if self.peer != "celery":
            return [*self.program(), "worker"]
        lean = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if self.variant == "tuned" else []
        return [self.args.peers / "celery/bin/celery", "-A", "jobs", "--workdir", f"{PROGRAMS}/celery", "worker",
                "--pool", "prefork", "--concurrency", "2", "--loglevel", "ERROR", *lean]

    def produce(self, *words):
        return output_of("the producer", [*self.program(), *words], timeout_s=120, env={**os.environ, **self.env})

    def loop(self, count, concurrency):
        return json.loads(self.produce("loop", count, concurrency))

    def ask(self, commands):
        """The sum of what Redis answers to commands whose answer is a number."""
        self.redis.write("".join(f"{command}\r\n" for command in commands).encode())
        self.redis.flush()
        answers = [self.redis.readline().decode().strip() for _ in commands]
        if not all(answer.startswith(":") for answer in answers):
            raise RuntimeError(f"Redis answers {answers} to {commands}")
        return sum(int(answer[1:]) for answer in answers)

    def drain(self, count):
        """So many jobs enqueued while the worker stands still; from its going on until the queue is empty."""
        queued, failed = KEYS[self.peer]
        self.produce("fill", count)
        if self.ask(queued) < count - 10:  # a worker that waited may have been handed some
            raise RuntimeError(f"{self.ask(queued)} of {count} jobs in the queue")
        begin = time.monotonic()
        rivals.let_go(self.worker_pids)
        wait_until("an empty queue", lambda: self.ask(queued) == 0, timeout_s=60)
        seconds = time.monotonic() - begin
        if failed and self.ask(failed):
            raise RuntimeError(f"{self.ask(failed)} jobs failed")
        return rivals.drained(count, seconds)


class Side(rivals.Side):
    def __init__(self, name, policy, setup):
        super().__init__("queues", f"{name}, {policy}" if policy else name, setup)
        self.row.update(queue=name, policy=policy, runs={"loop": [], "drain": []})
        self.counts = {}
        self.runs_at_most = RUNS_AT_MOST.get(policy)

    def start(self, seconds):
        with rivals.held_after(self.setup):
            self.setup.start()
            self.setup.loop(COUNT_STEP, IN_FLIGHT)
            self.row["idle_mb"] = rivals.memory(self.setup)
            rate = self.setup.loop(4 * COUNT_STEP, IN_FLIGHT)["workflowsPerSecond"]
            rate = self.setup.loop(self.jobs(rate), IN_FLIGHT)["workflowsPerSecond"]
        self.counts = {"loop": self.jobs(rate * seconds), "drain": min(DRAIN_MAX, self.jobs(2 * rate))}

    @staticmethod
    def jobs(about):
        return max(4 * COUNT_STEP, int(about / COUNT_STEP) * COUNT_STEP)

    def run(self, shape):
        """The workers stand still but for this, so that those of one queue do not take time from another."""
        count = self.counts[shape]
        with rivals.held_after(self.setup):
            if shape == "loop":
                rivals.let_go(self.setup.worker_pids)
                report = rivals.cost(self.setup, self.setup.loop, count, IN_FLIGHT)
            else:
                report = rivals.cost(self.setup, self.setup.drain, count)
        self.row["runs"][shape].append(report)
        print(f"queues: {self.row['name']:25} {shape:5} {number(report['workflowsPerSecond'])}/s, server CPU "
              f"{number(report['serverCpuMs'])} ms each, worker {number(report['workerCpuMs'])}", file=sys.stderr, flush=True)

    def finish(self):
        self.row["loaded_mb"] = rivals.memory(self.setup)
        rivals.let_go(self.setup.worker_pids)
        self.row["flushes"] = rivals.flushes(self.setup, 4 * COUNT_STEP, IN_FLIGHT)
        rivals.hold(self.setup.worker_pids)
        for shape, runs in self.row["runs"].items():
            self.row[shape] = rivals.medians(runs)


def needs(names):
    chosen = [name for name in PEERS if name in names] or PEERS
    return ["strace", "redis", *dict.fromkeys(name.partition("-")[0] for name in chosen)]


def versions(args):
    redis = machine.output(args.peers / "bin/redis-server", "--version") if shutil.which("redis-check-rdb") else ""
    found = {"redis": machine.first(r"v=(\S+)", redis, "")}
    for name in ("arq", "celery"):
        found[name] = machine.python_version(args.peers / name / "bin/python", name)
    with open(f"{PROGRAMS}/asynq/go.mod", encoding="utf-8") as file:
        found["asynq"] = machine.first(r"hibiken/asynq v(\S+)", file.read())
    found["bullmq"] = machine.npm_version(args.peers / "bullmq", "bullmq")
    return found


def sides_of(args, names):
    """Ours and the chosen queues with the chosen policies; and the rows of those that could not be had."""
    def wanted(axis):
        return [name for name in axis if name in names] or list(axis)
    sides, rows = [Side("ours", "", rivals.Ours(args))], []
    for policy in wanted(POLICIES):
        for name in wanted(PEERS):
            if policy != "always" and name in ALWAYS_ONLY:
                continue
            missing = args.without.get("redis") or args.without.get(name.partition("-")[0])
            if missing:
                rows.append({"suite": "queues", "name": f"{name}, {policy}", "error": f"SKIPPED: {missing}"})
            else:
                sides.append(Side(name, policy, Queue(args, name, policy)))
    return sides, rows


def run(args, names):
    sides, rows = sides_of(args, names)
    return [*rivals.measure(sides, args.seconds * 2 / 3, args.runs), *rows]


def sections(rows):
    good = [row for row in rows if "error" not in row]
    header = ["queue", "on", "loop jobs/s", "p50 ms", "p95 ms", "p99 ms", "worker CPU ms each", "server CPU ms each",
              "server's flushes each", "drain jobs/s", "worker CPU ms each", "server CPU ms each", "worker RSS MB",
              "server RSS MB", "runs"]
    cells = [[row["queue"], f"Redis, {row['policy']}" if row["policy"] else "engine, file", *map(number, [
        *(row["loop"][key] for key in (*rivals.RESULTS, "workerCpuMs", "serverCpuMs")), row["flushes"],
        *(row["drain"][key] for key in ("workflowsPerSecond", "workerCpuMs", "serverCpuMs")),
        row["loaded_mb"]["worker"], row["loaded_mb"]["server"]]), str(len(row["runs"]["loop"]))] for row in good]
    return ["## Job queues", "",
            f"A job gives a short text back. Loop: {IN_FLIGHT} jobs in flight, each result awaited by the producer and "
            "checked. Drain: jobs enqueued while the workers stand still, from their going on until the last one is done. "
            "Ours is an echo workflow of one activity, whose results are awaited in the drain, too.", "",
            *lines_of(header, cells),
            *[f"- {name}: {text}" for name, text in PEERS.items() if any(row["queue"] == name for row in good)], ""]


def goals(rows):
    by = {row["name"]: row for row in rows if "error" not in row}

    def goal(text, names, least):
        return rivals.ratio_goal(text, by, [f"{name}, always" for name in names],
                                 lambda a, b: a["loop"]["workflowsPerSecond"] / b["loop"]["workflowsPerSecond"], least)
    return [goal("durable jobs/s, 50 in flight, appendfsync always: ahead of arq, Celery, asynq and BullMQ", PEERS, 1),
            goal("the same: at least 3 times arq at its best", ["arq"], 3)]
