#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands in the logs of all programs, at trace level: never a payload; always who, where and what."""
import base64
import json
import unittest

from fleet_control import MODULES, QUEUE, ControlTest
from support import flotilla, ready, run

CANARY = "kanarie-7f3a9c-tweet"


class Logs(ControlTest):
    def start_all(self, *options):
        """Engine and workers with these options; the activity workers poll queues of their own."""
        engine, = self.fleet.processes
        engine.stop()
        self.fleet.processes.remove(engine)
        self.fleet.engine(*options)
        self.endpoint = f"ipc://{self.fleet.folder.name}/nobody.sock"
        workers = []
        for role, queue in (("workflow-worker", QUEUE), ("io-activity-worker", f"{QUEUE}-io"), ("cpu-activity-worker", f"{QUEUE}-cpu")):
            settings = [] if role == "workflow-worker" else ["--set", "executor.workers=1", "--set", "quarantine.crashes=1000"]
            worker = self.fleet.start(role, [
                self.fleet.bin / role, "--set", f"server.address={self.fleet.target}", "--set", f"task_queue={queue}",
                "--config", self.modules(), "--set", "health.port=0", "--set", "metrics.port=0",
                "--set", f"supervisor.endpoint={self.endpoint}", *settings, *options],
                {"FLOTILLA_STATE_DIR": f"{self.fleet.folder.name}/state"})
            ready(worker)
            workers.append(worker)
        return workers

    def modules(self):
        path = f"{self.fleet.folder.name}/modules.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"modules: [\"{MODULES / 'secrets.so'}\"]\n")
        return path

    def work(self):
        for workflow, queue, crash in (("w-io", f"{QUEUE}-io", {}), ("w-cpu", f"{QUEUE}-cpu", {"crash": 1})):
            value = {"queue": queue, "secret": CANARY, "bytes": [CANARY] * 3, **crash}
            self.start_workflow(workflow, "SecretsWorkflow", value)
            code, _, err = flotilla(self.fleet.target, "signal", workflow, "--name", "go", "--input", json.dumps({"s": CANARY}))
            self.assertEqual(code, 0, err)
            self.assertEqual(self.result(workflow)["secret"], CANARY)

    def output(self):
        for process in self.fleet.processes:
            self.assertEqual(process.stop(), 0, process.name)
        return {process.name: process.output for process in self.fleet.processes}

    def test_no_payload(self):
        self.start_all("--log-level", "trace", "--log-format", "json")
        self.work()
        for name, lines in self.output().items():
            text = "\n".join(lines)
            self.assertTrue(any('"event"' in line for line in lines), name)
            self.assertNotIn(CANARY, text, name)
            for shift in range(3):  # base64 of it, wherever it begins in a longer text
                part = base64.b64encode(b"\0" * shift + CANARY.encode())[4:-4].decode()
                self.assertNotIn(part, text, name)

    def test_context(self):
        """Lines of user code say themselves where they come from; all lines are JSON with the same first keys."""
        flows, io, _ = self.start_all("--log-level", "debug", "--log-format", "json")
        self.work()
        spoken = json.loads(io.said("the activity speaks"))
        for key, value in {"namespace": "default", "task_queue": f"{QUEUE}-io", "activity_type": "keep", "workflow_id": "w-io",
                           "workflow_type": "SecretsWorkflow", "attempt": 1, "level": "info", "event": "activity.log",
                           "logger": "io-activity-worker"}.items():
            self.assertEqual(spoken[key], value, key)
        for key in ("run_id", "activity_id", "worker_identity", "ts"):
            self.assertTrue(spoken[key], key)
        spoken = json.loads(flows.said("the workflow speaks"))
        self.assertEqual((spoken["namespace"], spoken["task_queue"], spoken["workflow_type"]), ("default", QUEUE, "SecretsWorkflow"))
        for name, lines in self.output().items():
            for line in (line for line in lines if line.startswith("{")):
                self.assertEqual(list(json.loads(line))[:5], ["ts", "level", "event", "msg", "logger"], (name, line))

    def test_logfmt(self):
        flows, _, _ = self.start_all("--log-format", "logfmt")
        line = flows.said("event=worker.started")
        self.assertRegex(line, r'^ts=\S+Z level=info event=worker.started msg="Worker started" logger=workflow-worker ')

    def test_options_are_checked(self):
        for program, more in (("workflow-worker", ["--set", "task_queue=q"]), ("flotilla-supervisor", []), ("flotilla-engine", [])):
            code, _, err = run(program, "--log-level", "loud", *more)
            self.assertIn(code, (64, 78), (program, err))
            self.assertIn("trace, debug, info, warn", err)


if __name__ == "__main__":
    unittest.main()
