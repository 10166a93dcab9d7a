#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The threads that run workflow code: how many there are, code that does not yield, the cache and its evictions."""
import json
import os
import pathlib
import signal
import unittest

from support import BIN, FleetTest, flotilla, get, ready, wait_for

SANITIZED = os.environ.get("FLOTILLA_SANITIZE")
MODULE = BIN.parent / "tests/modules/executors.so"
EVICTED = 'flotilla_sticky_cache_evictions_total{namespace="default",task_queue="executors",reason="%s"}'
LABELS = '{namespace="default",task_queue="executors"}'


class Executors(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def worker(self, **settings):
        settings.setdefault("max_concurrent_workflow_tasks", 20)
        worker = self.fleet.worker("workflow-worker", str(MODULE), "executors", **settings)
        ready(worker)
        return worker

    def cli(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def begin(self, type_, id_, value, *args):
        self.cli("start", "--type", type_, "-t", "executors", "-w", id_, "-i", json.dumps(value), *args)

    def result(self, id_):
        return json.loads(self.cli("result", id_))

    def events(self, id_):
        return json.loads(self.cli("history", id_, "--output", "json"))["events"]

    def types(self, id_):
        return [e["eventType"].removeprefix("EVENT_TYPE_") for e in self.events(id_)]

    def sample(self, worker, name):
        page = get(worker.address("metrics"), "/metrics")[1].splitlines()
        return next((float(line.split()[-1]) for line in page if line.startswith(name)), None)

    def eventually(self, worker, name, least):
        wait_for(lambda: (self.sample(worker, name) or 0) >= least, f"{name} at least {least}")

    def adders(self, count, wanted=2):
        for i in range(count):
            self.begin("AddWorkflow", f"add-{i}", wanted)
            self.cli("signal", f"add-{i}", "--name", "add", "-i", str(i))

    def end_adders(self, count):
        for i in range(count):
            self.cli("signal", f"add-{i}", "--name", "add", "-i", "1000")
        for i in range(count):
            self.assertEqual(self.result(f"add-{i}"), 1000 + i)

    def test_any_number_of_threads(self):
        for executors in (0, 1, 4):
            with self.subTest(executors=executors):
                worker = self.worker(executors=executors)
                for i in range(8):
                    self.begin("NapWorkflow", f"nap-{executors}-{i}", 3)
                for i in range(8):
                    self.assertEqual(self.result(f"nap-{executors}-{i}"), 3)
                    self.assertNotIn("WORKFLOW_TASK_FAILED", self.types(f"nap-{executors}-{i}"))
                names = [file.read_text() for file in pathlib.Path(f"/proc/{worker.child.pid}/task").glob("*/comm")]
                threads = sum(name.startswith("workflow-") and name.strip()[9:].isdigit() for name in names)
                self.assertLessEqual(threads, executors)
                self.assertEqual(threads > 0, executors > 0)
                self.assertEqual(worker.stop(signal.SIGTERM), 0)
                self.fleet.processes.remove(worker)

    def test_code_that_does_not_yield(self):
        """Its task fails with its stack; others go on, on the same shard too; its thread goes with it."""
        worker = self.worker(executors=1, deadlock_timeout="300ms")
        self.adders(3)
        self.begin("SpinWorkflow", "spin", 0)
        line = worker.said("workflow.deadlock")
        self.end_adders(3)
        failed = wait_for(lambda: [e for e in self.events("spin") if e["eventType"].endswith("TASK_FAILED")],
                          "the failed task")[0]["workflowTaskFailedEventAttributes"]
        self.assertEqual(failed["cause"], "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE")
        self.assertIn("[TMPRL1101]", failed["failure"]["message"])
        if SANITIZED != "thread":  # that one holds signals back until the code calls something
            self.assertIn("spin_the_wheel", failed["failure"]["stackTrace"])
            self.assertIn("executors.c:", failed["failure"]["stackTrace"])
            self.assertIn("spin_the_wheel", line)
        self.eventually(worker, "flotilla_workflow_threads_stuck" + LABELS, 1)
        self.eventually(worker, "flotilla_workflow_deadlocks_total" + LABELS, 1)
        self.assertEqual(get(worker.address("http"), "/health")[0], 200)
        self.assertEqual(worker.stop(signal.SIGTERM), 0)  # its thread never ends
        self.fleet.processes.remove(worker)

    def test_tasks_of_a_run_whose_code_spins(self):
        """None is begun, and none waits in silence: queries and the workflow's next task fail at once."""
        worker = self.worker(executors=2, deadlock_timeout="300ms")
        self.begin("AskedWorkflow", "asked", 1)
        for _ in range(3):
            code, _, err = flotilla(self.fleet.target, "query", "asked", "spin")
            self.assertNotEqual(code, 0)
            self.assertIn("[TMPRL1101]", err)
        self.cli("signal", "asked", "--name", "add", "-i", "1")
        failed = wait_for(lambda: [e for e in self.events("asked") if e["eventType"].endswith("TASK_FAILED")],
                          "the failed task")[0]["workflowTaskFailedEventAttributes"]
        self.assertIn("[TMPRL1101]", failed["failure"]["message"])
        self.assertIn("still", failed["failure"]["message"])
        self.assertIn("[TMPRL1101]", worker.said("workflow.task_failed"))
        self.assertEqual(self.sample(worker, "flotilla_workflow_threads_stuck" + LABELS), 1)  # no second one

    def test_code_that_yields_late(self):
        """What it comes to is dropped, its thread ends, and the worker stops as any other."""
        worker = self.worker(executors=2, deadlock_timeout="200ms")
        self.begin("SpinWorkflow", "late", 1_000_000_000)
        worker.said("workflow.stuck")
        worker.said("workflow.unstuck", timeout=60)
        wait_for(lambda: self.sample(worker, "flotilla_workflow_threads_stuck" + LABELS) == 0, "none is stuck")
        self.assertNotIn("WORKFLOW_EXECUTION_COMPLETED", self.types("late"))
        self.cli("terminate", "late")

    def test_stop_while_code_runs(self):
        """A task that is with its thread is finished first."""
        worker = self.worker(executors=1, deadlock_timeout="0ms")
        self.begin("SpinWorkflow", "spin", 300_000_000)
        wait_for(lambda: "WORKFLOW_TASK_STARTED" in self.types("spin"), "the task has begun")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.fleet.processes.remove(worker)
        self.assertIs(self.result("spin"), True)

    def test_small_cache(self):
        """One bound for the threads together; what is pushed out comes back from its history."""
        worker = self.worker(executors=2, sticky_cache__max_entries=2)
        self.adders(6)
        wait_for(lambda: (self.sample(worker, EVICTED % "capacity") or 0) >= 4, "four are pushed out")
        wait_for(lambda: self.sample(worker, "temporal_sticky_cache_size" + LABELS) <= 2, "two are left")
        self.end_adders(6)
        self.eventually(worker, EVICTED % "closed", 6)
        wait_for(lambda: self.sample(worker, "temporal_sticky_cache_size" + LABELS) == 0, "none is left")

    def test_random_eviction(self):
        worker = self.worker(executors=2, sticky_cache__random_eviction=0.7, sticky_cache__random_eviction_seed=7)
        worker.said("cache.random_eviction")
        self.adders(5, 4)
        for i in range(5):
            self.cli("signal", f"add-{i}", "--name", "add", "-i", "0")
            self.begin("NapWorkflow", f"nap-{i}", 6)
            self.cli("signal", f"add-{i}", "--name", "add", "-i", "0")
        for i in range(5):
            self.assertEqual(self.result(f"nap-{i}"), 6)
        self.end_adders(5)
        self.eventually(worker, EVICTED % "forced", 5)
        for id_ in [f"nap-{i}" for i in range(5)] + [f"add-{i}" for i in range(5)]:
            self.assertNotIn("WORKFLOW_TASK_FAILED", self.types(id_))

    def test_many_runs_after_a_restart(self):
        """Each comes back with its whole history; no task of theirs runs out of time."""
        settings = {"executors": 2, "max_concurrent_workflow_tasks": 60,
                    "sticky_cache__schedule_to_start_timeout": "1s"}
        worker = self.worker(**settings)
        self.adders(40)
        self.eventually(worker, "temporal_sticky_cache_size" + LABELS, 40)
        worker.stop(signal.SIGKILL)
        self.fleet.processes.remove(worker)
        for i in range(40):
            self.cli("signal", f"add-{i}", "--name", "add", "-i", "1000")
        worker = self.worker(**settings)
        for i in range(40):
            self.assertEqual(self.result(f"add-{i}"), 1000 + i)
            timed_out = [e for e in self.events(f"add-{i}") if e["eventType"].endswith("TASK_TIMED_OUT")]
            self.assertFalse([e for e in timed_out if "SCHEDULE" not in
                              e["workflowTaskTimedOutEventAttributes"].get("timeoutType", "")])
        for state in ("running", "waiting"):
            self.assertEqual(self.sample(worker, 'flotilla_workflow_replays{namespace="default",'
                                                 f'task_queue="executors",state="{state}"}}'), 0)


if __name__ == "__main__":
    unittest.main()
