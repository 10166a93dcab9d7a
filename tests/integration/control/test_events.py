#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What workers tell of themselves as it happens."""
import json
import os
import pathlib
import signal
import unittest

from fleet_control import QUEUE, ControlTest
from support import wait_for

FAILING = {"failure_rate": 1, "attempts": 1, "delay_ms": 0, "timeout_ms": 20000}


class Events(ControlTest):
    def test_life(self):
        worker, boot = self.start_worker("io-activity-worker")
        started, up = self.router.event("worker.started"), self.router.event("worker.ready", types="nap")
        self.assertEqual((started["boot"], started["role"], up["fields"]["slots"]), (boot, "io-activity", 5))
        worker.child.send_signal(signal.SIGTSTP)
        self.router.event("worker.quiet", reason="SIGTSTP")
        worker.child.send_signal(signal.SIGCONT)
        self.router.event("worker.resumed", reason="SIGCONT")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.router.event("worker.draining", reason="SIGTERM")
        self.router.event("worker.stopped", exit_code=0)

    def test_server_lost_and_back(self):
        worker, _ = self.start_worker("io-activity-worker")
        engine, = (p for p in self.fleet.processes if p.name == "flotilla-engine")
        listen = self.fleet.target
        engine.stop()
        lost = self.router.event("server.unreachable")
        self.assertEqual((lost["level"], lost["fields"]["server"]), ("warn", listen))
        from support import BIN
        self.fleet.start("flotilla-engine", [BIN / "flotilla-engine", "--listen", listen])
        self.router.event("server.connected")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)

    def test_failed_tasks(self):
        """With the ids and the failure, cut; at most ten a second, and then how many were not told."""
        self.start_worker("workflow-worker", "loadtest", max_concurrent_workflow_tasks=20)
        self.start_worker("io-activity-worker", "loadtest")
        kinds = {"kinds": "runtime_error"}
        for i in range(30):
            self.start_workflow(f"w{i}", "failure_testing", {**FAILING, **kinds, "queue": QUEUE})
        for i in range(30):
            self.result(f"w{i}")
        one = self.router.event("activity.failed")
        fields = one["fields"]
        self.assertTrue(fields["workflow_id"].startswith("w"), one)
        self.assertEqual((fields["activity_type"], fields["attempt"], one["level"]), ("failure_testing", 1, "warn"))
        self.assertLessEqual(len(fields["failure"]), 200)

        def counted():
            told = sum(e["kind"] == "activity.failed" for e in self.router.events)
            return told + sum(e["fields"]["held_back"] for e in self.router.events if e["kind"] == "task.failures_held")
        self.router.until(lambda: counted() == 30, "thirty failures, told or counted")

    def test_executor_died(self):
        self.start_worker("workflow-worker", "loadtest")
        self.start_worker("cpu-activity-worker", "loadtest", executor__workers=1, max_concurrent_activities=1,
                          executor__pin="false", quarantine__crashes=1)
        self.start_workflow("w", "failure_testing", {**FAILING, "kinds": "crash", "queue": QUEUE})
        self.result("w")
        died = self.router.event("executor.died", workflow_id="w", activity_type="failure_testing")
        self.assertEqual((died["fields"]["signal"], died["level"]), ("SEGV", "error"))
        self.router.event("activity.parked", workflow_id="w", crashes=1)

    def test_executor_died_idle(self):
        """Without a task, too; one that is told to end, or replaced, is no death."""
        worker, _ = self.start_worker("cpu-activity-worker", executor__workers=1, max_concurrent_activities=1,
                                      executor__pin="false")

        def children(pid):
            return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        template, = children(worker.child.pid)
        executor, = children(template)
        os.kill(executor, signal.SIGKILL)
        died = self.router.event("executor.died", executor=0, signal="KILL")
        self.assertEqual((died["level"], "exit_status" in died["fields"]), ("error", False))
        wait_for(lambda: children(template) not in ([], [executor]), "another in its place")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.router.event("worker.stopped", exit_code=0)
        self.assertEqual([e["kind"] for e in self.router.events].count("executor.died"), 1)

    def test_local_activity_failed(self):
        self.start_worker("workflow-worker", "local")
        self.start_workflow("w", "LocalFail", 0)
        self.result("w")
        one = self.router.event("local_activity.failed", workflow_id="w", task_queue=QUEUE, failure="no money")
        self.assertEqual((one["fields"]["failure_type"], one["fields"]["attempt"], one["level"]), ("Broke", 1, "warn"))


if __name__ == "__main__":
    unittest.main()
