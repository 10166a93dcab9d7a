#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Local activities in real workers: results, tasks that are open for long, workers that die or stop meanwhile."""
import json
import pathlib
import signal
import unittest

from support import BIN, FleetTest, flotilla, get, ready, wait_for

MODULE = BIN.parent / "tests/modules/local.so"
SLOTS = 'temporal_worker_task_slots_used{namespace="default",task_queue="local",worker_type="LocalActivityWorker"}'


class Local(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        self.file = pathlib.Path(self.fleet.folder.name, "lines")

    def worker(self, **settings):
        worker = self.fleet.worker("workflow-worker", str(MODULE), "local", **settings)
        ready(worker)
        return worker

    def cli(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def begin(self, type_, value, *args):
        self.cli("start", "--type", type_, "-t", "local", "-w", type_, "-i", json.dumps(value), *args)

    def count(self, ms, *args):
        """LocalCount, whose local activity adds a line to a file and takes ms."""
        self.begin("LocalCount", {"file": str(self.file), "ms": ms}, *args)
        wait_for(lambda: self.lines() > 0, "the first attempt")

    def result(self, id_):
        return json.loads(self.cli("result", id_))

    def history(self, id_):
        """The names of the events."""
        events = json.loads(self.cli("history", id_, "--output", "json"))["events"]
        return [e["eventType"].removeprefix("EVENT_TYPE_") for e in events]

    def lines(self):
        return len(self.file.read_text().splitlines()) if self.file.exists() else 0

    def sample(self, worker, name):
        page = get(worker.address("metrics"), "/metrics")[1].splitlines()
        return next((float(line.split()[-1]) for line in page if line.startswith(name)), None)

    def test_outcomes(self):
        worker = self.worker()
        self.assertIsNone(self.sample(worker, SLOTS), "nothing is made before it is used")
        for type_, value, result in [("LocalChain", 21, 84), ("LocalFail", 0, "1 Broke"), ("LocalRetry", 0, 3),
                                     ("LocalBackoff", 0, 3), ("LocalTimeout", 0, "1 Timeout"),
                                     ("LocalCancel", 0, True), ("LocalMany", 100, 9900)]:
            self.begin(type_, value)
            self.assertEqual(self.result(type_), result, type_)
        self.begin("LocalAbout", 0)
        self.assertEqual(self.result("LocalAbout"), {"type": "about", "workflow": "LocalAbout", "queue": "local",
                                                     "local": True, "attempt": 1})
        self.begin("LocalBroke", 0)
        code, _, err = flotilla(self.fleet.target, "result", "LocalBroke")
        self.assertEqual(code, 1)
        self.assertIn("Local activity failed (type Activity): no money (type Broke)", err)
        self.assertEqual(self.history("LocalChain").count("MARKER_RECORDED"), 3)
        self.assertEqual(self.history("LocalMany").count("MARKER_RECORDED"), 100)
        self.assertEqual(self.history("LocalRetry").count("TIMER_STARTED"), 0)
        self.assertIn('"nonfirstLocalActivityExecutionAttempts": 2', self.cli("history", "LocalRetry", "-o", "json"))
        self.assertEqual(self.history("LocalBackoff").count("TIMER_STARTED"), 2)
        self.assertEqual(self.sample(worker, SLOTS), 0)
        for name, at_least in [("total", 100), ("execution_failed_total", 5), ("execution_latency_seconds_count", 100),
                               ("succeed_endtoend_latency_seconds_count", 100)]:
            page = get(worker.address("metrics"), "/metrics")[1].splitlines()
            family = [line for line in page if line.startswith(f"temporal_local_activity_{name}{{")]
            self.assertGreaterEqual(sum(float(line.split()[-1]) for line in family), at_least, name)

    def test_longer_than_its_task(self):
        self.worker()
        self.begin("LocalLong", 1900, "--task-timeout", "1s")
        self.assertEqual(self.result("LocalLong"), 1900)
        events = self.history("LocalLong")
        self.assertGreaterEqual(events.count("WORKFLOW_TASK_COMPLETED"), 3)
        self.assertEqual(events.count("MARKER_RECORDED"), 1)
        self.assertNotIn("WORKFLOW_TASK_TIMED_OUT", events)
        self.assertNotIn("WORKFLOW_TASK_FAILED", events)

    def test_longer_than_its_task_without_a_cache(self):
        self.worker(sticky_cache__max_entries=0)
        self.count(1300, "--task-timeout", "1s")
        self.cli("signal", "LocalCount", "--name", "go")
        self.assertEqual(self.result("LocalCount"), [1, 2])
        self.assertEqual(self.lines(), 2)
        self.assertNotIn("WORKFLOW_TASK_TIMED_OUT", self.history("LocalCount"))

    def test_signal_while_it_runs(self):
        self.worker()
        self.count(1200, "--task-timeout", "1s")
        self.cli("signal", "LocalCount", "--name", "go")
        self.assertEqual(self.result("LocalCount"), [1, 2])
        self.assertEqual(self.lines(), 2)

    def test_replay_does_not_run_it_again(self):
        worker = self.worker(sticky_cache__schedule_to_start_timeout="500ms")
        self.count(0)
        wait_for(lambda: "MARKER_RECORDED" in self.history("LocalCount"), "the marker")
        worker.stop(signal.SIGKILL)
        self.fleet.processes.remove(worker)
        self.worker()
        self.cli("signal", "LocalCount", "--name", "go")
        self.assertEqual(self.result("LocalCount"), [1, 2])
        self.assertEqual(self.lines(), 2)

    def test_kill_runs_it_again(self):
        """What was not recorded when the worker died is done again, elsewhere."""
        worker = self.worker()
        self.count(1100, "--task-timeout", "1s")
        wait_for(lambda: "WORKFLOW_TASK_COMPLETED" in self.history("LocalCount"), "a heartbeat")
        worker.stop(signal.SIGKILL)
        self.fleet.processes.remove(worker)
        self.assertEqual(self.lines(), 1)
        self.worker()
        wait_for(lambda: self.lines() > 1, "the second attempt")
        self.cli("signal", "LocalCount", "--name", "go")
        self.assertEqual(self.result("LocalCount"), [2, 3])

    def test_drain_finishes_it(self):
        worker = self.worker()
        self.count(500)
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.assertIn("MARKER_RECORDED", self.history("LocalCount"))
        self.worker()
        self.cli("signal", "LocalCount", "--name", "go")
        self.assertEqual(self.result("LocalCount"), [1, 2])

    def test_drain_cuts_it(self):
        """One that takes too long is told to stop, and given at once to another worker."""
        worker = self.worker(shutdown_timeout="3s", executor__grace="500ms")
        self.count(30000, "--task-timeout", "60s")
        self.assertEqual(worker.stop(signal.SIGTERM, timeout=10), 0)
        events = self.history("LocalCount")
        self.assertNotIn("MARKER_RECORDED", events)
        self.assertEqual(events[-2:], ["WORKFLOW_TASK_COMPLETED", "WORKFLOW_TASK_SCHEDULED"])
        self.worker(shutdown_timeout="3s", executor__grace="500ms")
        wait_for(lambda: self.lines() == 2, "the second attempt")

    def test_terminated_workflow_gives_its_slot_back(self):
        worker = self.worker()
        self.count(60000, "--task-timeout", "1s")
        self.assertEqual(self.sample(worker, SLOTS), 1)
        self.cli("terminate", "LocalCount")
        wait_for(lambda: self.sample(worker, SLOTS) == 0, "the end of the local activity")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        counts = json.loads(worker.said('"event":"worker.stopped"'))
        self.assertEqual((counts["unwanted"], counts["unreported"], counts["abandoned"]), (1, 0, 0))

    def test_cancel_request_ends_it(self):
        """It comes with the task that the next heartbeat brings."""
        worker = self.worker()
        self.begin("LocalLong", 60000, "--task-timeout", "1s")
        wait_for(lambda: self.sample(worker, SLOTS) == 1, "the local activity at work")
        self.cli("cancel", "LocalLong")
        code, _, err = flotilla(self.fleet.target, "result", "LocalLong")
        self.assertEqual(code, 1)
        self.assertIn("ancel", err)
        events = self.history("LocalLong")
        self.assertEqual(events[-2:], ["MARKER_RECORDED", "WORKFLOW_EXECUTION_CANCELED"])
        wait_for(lambda: self.sample(worker, SLOTS) == 0, "the end of the local activity")

    def test_more_than_there_are_slots(self):
        worker = self.worker(max_concurrent_local_activities=2)
        self.begin("LocalMany", 200)
        self.assertEqual(self.result("LocalMany"), 39800)
        self.assertEqual(self.sample(worker, SLOTS.replace("used", "available")), 2)


if __name__ == "__main__":
    unittest.main()
