# SPDX-License-Identifier: Apache-2.0
"""A fleet of a folder of its own, run and asked by `flotilla`'s commands only."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from support import BIN, finish_batch, start_batch

SETTLE = "restart: {min_backoff: 20ms, max_backoff: 100ms, crash_loop_after: 3, stable_after: 60s}\n"
WORKERS = """
  - {name: wf, program: workflow-worker, config: wf.yaml}
  - {name: io, program: io-activity-worker, config: io.yaml}
"""
# Reports come often: what waits for a process to be ready is short.
ROLE_YAML = ("task_queue: benchmark\nmodules: [{path: echo}]\nhealth: {port: 0}\nmetrics: {port: 0}\n"
             "supervisor: {interval: 100ms}\n")


def alive(pid):
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


class ProcessesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flotilla-processes-")
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        (self.dir / "config").mkdir()
        for name in ["wf", "io"]:
            (self.dir / f"config/{name}.yaml").write_text(ROLE_YAML)
        self.write(WORKERS)
        self.addCleanup(lambda: self.cli("down", "--now"))

    def write(self, workers, more=""):
        """The fleet's file, in one piece, as editors do it. Replicas have ports of their own."""
        workers = workers.replace("}\n", ", set: {health.port: 0, metrics.port: 0}}\n")
        fresh = self.dir / "config/new"
        fresh.write_text(f"engine: {{listen: \"127.0.0.1:0\"}}\nhealth: {{port: 0}}\nmetrics: {{port: 0}}\n{SETTLE}{more}"
                         f"workers:{workers}")
        fresh.rename(self.dir / "config/fleet.yaml")

    def cli(self, *args, timeout=60):
        done = subprocess.run([str(BIN / "flotilla"), *map(str, args)], cwd=self.dir, capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL,
                              env={k: v for k, v in os.environ.items() if k != "FLOTILLA_STATE_DIR"})
        return done.returncode, done.stdout, done.stderr

    def good(self, *args):
        code, out, err = self.cli(*args)
        if code:
            self.fail(f"{args}: {code}: {err}{out}\n{self.log()}")
        return out

    def log(self):
        return self.cli("logs", "-n", 40)[1]

    def ps(self):
        return json.loads(self.good("ps", "-o", "json"))

    def pids(self, worker=None):
        """The processes that run, by name; of a name that two have, the one that is to stay."""
        rows = sorted(self.ps()["processes"], key=lambda p: p["wanted"])
        return {p["name"]: p["pid"] for p in rows if p["pid"] and worker in (None, p["worker"])}

    def up(self):
        out = self.good("up", "--detach")
        self.assertIn("the fleet is ready", out)
        self.target = re.search(r"server +(\S+)", out)[1]

    def load(self, *args):
        return start_batch(self.target, "load", "--type", "EchoWorkflow", "--task-queue", "benchmark", "--input", '"x"',
                           *args)

    def all_good(self, batch):
        report = finish_batch(self, batch)
        self.assertEqual((report["errors"], report["failed"]), ({}, 0), report)
        return report

    def said(self, event, name=None):
        """Lines of the supervisor's log with that event."""
        path = self.dir / ".flotilla/logs/supervisor.log"
        lines = [json.loads(line.split(" F ", 1)[1]) for line in path.read_text().splitlines() if " F {" in line]
        return [line for line in lines if line["event"] == event and name in (None, line["process"])]
