#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process in turn while documents are at work: every workflow completes, with one result."""
import json
import os
import pathlib
import signal
import unittest

from support import BIN, FleetTest, finish_batch, flotilla, get, start_batch, wait_for

DOCUMENTS = 300
NAMES = ["engine", "workflow", "io", "cpu", "supervisor"]


class Kill(FleetTest):
    def setUp(self):
        super().setUp()
        self.state = pathlib.Path(self.fleet.folder.name, "state")
        config = pathlib.Path(__file__).parents[2] / "config/fleet.yaml"
        sets = {"state_dir": self.state, "engine.listen": "127.0.0.1:0", "health.port": 0, "metrics.port": 0}
        self.up = self.fleet.start("fleet", [BIN / "flotilla", "up", "--config", config,
                                             *[x for k, v in sets.items() for x in ("--set", f"{k}={v}")]])
        self.fleet.target = wait_for(lambda: self.described().get("server"), "the engine's address")
        self.documents = pathlib.Path(self.fleet.folder.name, "documents")
        self.documents.mkdir()
        for i in range(DOCUMENTS):
            words = " ".join(f"word{(i * 7 + j * 13) % 500} the of and" for j in range(400))
            (self.documents / f"{i:03}.txt").write_text(f"document {i}: {words}\n")

    def described(self):
        path = self.state / "fleet.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def pid(self, name):
        described = self.described()
        if name == "supervisor":
            return described.get("pid", 0)
        return next((p["pid"] for p in described.get("processes", []) if p["name"] == name), 0)

    def completed(self):
        code, out, _ = flotilla(self.fleet.target, "list", "--query", "ExecutionStatus = 'Completed'", "--limit", 10000)
        return len(out.splitlines()) - 1 if code == 0 else 0

    def test_every_process_in_turn(self):
        batch = start_batch(self.fleet.target, "documents", "--concurrency", 30, self.documents)
        for i, name in enumerate(NAMES):
            wait_for(lambda: self.completed() > i * DOCUMENTS // 10 + 5 or batch.poll() is not None, "progress", 100)
            self.assertIsNone(batch.poll(), "the batch ended before all processes were killed")
            victim = self.pid(name)
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: self.pid(name) not in (0, victim), f"a new {name}")
        answer = finish_batch(self, batch)
        self.assertEqual((answer["completed"], answer["failed"]), (DOCUMENTS, 0))
        self.assertEqual(len({d["uri"] for d in answer["documents"]}), DOCUMENTS)
        code, out, err = flotilla(self.fleet.target, "list", "--limit", 10000)
        self.assertEqual(code, 0, err)
        statuses = [line.split()[0] for line in out.splitlines()[1:]]
        self.assertEqual(statuses, ["Completed"] * DOCUMENTS)

    def test_supervisor_gone_workers_work_on(self):
        """Workers report to a supervisor that is killed under load, and appear at its successor."""
        self.assertEqual(self.up.stop(), 0)
        folder = pathlib.Path(self.fleet.folder.name)
        endpoint = f"ipc://{folder}/hub.sock"
        config = folder / "hub.yaml"
        config.write_text(f"state_dir: {folder}/hub\nsupervisor: {{endpoint: \"{endpoint}\"}}\n"
                          "health: {port: 0}\nmetrics: {port: 0}\nengine: {enabled: false}\n")
        supervisor = self.fleet.start("supervisor", [BIN / "flotilla-supervisor", "--config", config])
        self.fleet.engine()
        for role in ["workflow-worker", "io-activity-worker"]:
            self.fleet.worker(role, "echo", "benchmark", supervisor__endpoint=endpoint)

        def seen(process):
            fleet = json.loads(get(process.address("http"), "/v1/fleet")[1])
            return [p["state"] for p in fleet["processes"]] == ["running"] * 2
        wait_for(lambda: seen(supervisor), "both workers at the supervisor")
        batch = start_batch(self.fleet.target, "load", "--count", 3000, "--concurrency", 20)
        wait_for(self.completed, "the first workflow")
        supervisor.stop(signal.SIGKILL)
        self.fleet.processes.remove(supervisor)
        self.assertEqual(finish_batch(self, batch)["completed"], 3000)
        supervisor = self.fleet.start("supervisor", [BIN / "flotilla-supervisor", "--config", config])
        wait_for(lambda: seen(supervisor), "both workers at the new supervisor")


if __name__ == "__main__":
    unittest.main()
