# SPDX-License-Identifier: Apache-2.0
"""Another durable engine: Restate with a service that calls a service, against our engine on a file with an echo workflow."""
import json
import os
import re
import sys
import time
import urllib.request

import machine
import rivals
from fleet import Fleet
from loadgen import output_of
from table import lines_of, number

MINUTES = 3
NAMES = {
    "restate-default": "Restate with its defaults, a service of its TypeScript SDK in one process of Node.js",
    "restate-tuned": "the same with 2 partitions in place of 24, and no journals kept of what is done",
}
TUNED = {"RESTATE_DEFAULT_NUM_PARTITIONS": "2", "RESTATE_DEFAULT_JOURNAL_RETENTION": "0s"}
SHAPES = {"loop": 50, "alone": 1}  # name: in flight at once
IDLE_S = 1                         # from the start to the reading of idle memory


class Restate:
    def __init__(self, args, settings):
        self.args, self.settings = args, settings
        self.fleet = Fleet(args.bin)
        self.folder = args.peers / "restate"

    def start(self):
        quiet = {"NODE_ENV": "production", "RESTATE_LOGGING": "ERROR"}
        service = self.fleet.start("restate-service", ["node", self.folder / "service.mjs"], quiet)
        address = service.address("http")
        architecture = os.uname().machine.replace("x86_64", "x64").replace("aarch64", "arm64")
        program = self.folder / f"node_modules/@restatedev/restate-server-linux-{architecture}/bin/restate-server"
        server = self.fleet.start(
            "restate-server", [program, "--base-dir", f"{self.fleet.folder.name}/data", "--node-name", "bench",
                               "--bind-ip", "127.0.0.1", "--listen-mode", "tcp", "--use-random-ports", "true",
                               "--no-logo", "--log-disable-ansi-codes", "true"],
            {"RESTATE_DISABLE_TELEMETRY": "true", "RESTATE_LOG_FORMAT": "compact", **self.settings})
        admin, self.fleet.target = (self.listener(server, name) for name in ("admin-api-server", "http-ingress-server"))
        self.register(admin, address)
        self.server_pids, self.worker_pids = [server.child.pid], [service.child.pid]

    @staticmethod
    def listener(server, name):
        port = rivals.line_of(server, re.compile(rf"listening server_name={name} .*server\.port=(\d+)"))[1]
        return f"127.0.0.1:{port}"

    @staticmethod
    def register(admin, service):
        """The admin API answers when the service has been asked what it has."""
        request = urllib.request.Request(f"http://{admin}/deployments", json.dumps({"uri": f"http://{service}"}).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30):
            pass

    def loop(self, count, concurrency):
        return json.loads(output_of("the load", ["node", self.folder / "load.mjs", self.fleet.target, count, concurrency]))


class Side(rivals.Side):
    def __init__(self, name, setup):
        super().__init__("restate", name, setup)
        self.counts, self.row["runs"] = {}, {shape: [] for shape in SHAPES}

    def start(self, seconds):
        self.setup.start()
        time.sleep(IDLE_S)
        self.row["idle_mb"] = rivals.memory(self.setup)
        self.setup.loop(200, 50)
        for shape, concurrency in SHAPES.items():
            warm = self.setup.loop(20 * concurrency if concurrency > 1 else 100, concurrency)
            self.counts[shape] = max(100, int(warm["workflowsPerSecond"] * seconds))

    def run(self, shape):
        report = rivals.cost(self.setup, self.setup.loop, self.counts[shape], SHAPES[shape])
        self.row["runs"][shape].append(report)
        print(f"restate: {self.row['name']:15} {shape:5} {number(report['workflowsPerSecond'])}/s, p50 "
              f"{number(report['p50Ms'])} ms, server CPU {number(report['serverCpuMs'])} ms each", file=sys.stderr, flush=True)

    def finish(self):
        self.row["loaded_mb"] = rivals.memory(self.setup)
        for shape, concurrency in SHAPES.items():
            self.row[shape] = rivals.medians(self.row["runs"][shape])
            self.row[shape]["flushes"] = rivals.flushes(self.setup, 4 * concurrency + 20, concurrency)


def needs(names):
    return ["strace", "restate"]


def versions(args):
    return {what: machine.npm_version(args.peers / "restate", f"@restatedev/{what}")
            for what in ("restate-server", "restate-sdk")}


def run(args, names):
    rows, sides = [], [Side("ours", rivals.Ours(args))]
    for name in names or NAMES:
        if "restate" in args.without:
            rows.append({"suite": "restate", "name": name, "error": f"SKIPPED: {args.without['restate']}"})
        else:
            sides.append(Side(name, Restate(args, TUNED if name == "restate-tuned" else {})))
    return [*rivals.measure(sides, args.seconds, args.runs), *rows]


def sections(rows):
    good = [row for row in rows if "error" not in row]
    lines = ["## Restate", "",
             "A call through Restate's HTTP ingress to a service that durably calls another one, against an echo workflow "
             "of one activity on our engine with a file; 50 in flight, and one after the other. Worker: the process of "
             "Restate's SDK; our two workers. Load program: Node.js for Restate, `flotilla load` for ours, on the same "
             "cores; its start is in its CPU.", ""]
    header = ["engine", "in flight", "calls/s", "p50 ms", "p95 ms", "p99 ms", "server CPU ms each", "worker CPU ms each",
              "load program CPU ms each", "server's flushes each", "runs"]
    cells = [[row["name"], str(concurrency), *map(number, [
        *(row[shape][key] for key in rivals.RESULTS), row[shape]["serverCpuMs"], row[shape]["workerCpuMs"],
        row[shape]["loadCpuMs"], row[shape]["flushes"]]), str(len(row["runs"][shape]))] for shape, concurrency in SHAPES.items() for row in good]
    lines += lines_of(header, cells)
    header = ["engine", "server idle RSS MB", "loaded", "workers idle RSS MB", "loaded"]
    lines += lines_of(header, [[row["name"], *(number(row[when][side]) for side in ("server", "worker")
                                              for when in ("idle_mb", "loaded_mb"))] for row in good])
    return lines


def goals(rows):
    by = {row["name"]: row for row in rows if "error" not in row}

    def goal(text, ratio, least):
        return rivals.ratio_goal(text, by, list(NAMES), ratio, least)
    return [goal("echo/s with 50 in flight on a file: at least 5 times Restate's",
                 lambda a, b: a["loop"]["workflowsPerSecond"] / b["loop"]["workflowsPerSecond"], 5),
            goal("engine CPU of an echo on a file: Restate's server takes at least 8 times as much",
                 lambda a, b: b["loop"]["serverCpuMs"] / a["loop"]["serverCpuMs"], 8),
            goal("p50 of one echo alone on a file: Restate's is at least 2 times as long",
                 lambda a, b: b["alone"]["p50Ms"] / a["alone"]["p50Ms"], 2)]
