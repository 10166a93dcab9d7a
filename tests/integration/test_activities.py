#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What activity code can do, on threads and in executor processes: each test runs on both."""
import json
import pathlib
import re
import unittest

from support import BIN, FleetTest, flotilla, get, ready, run, unhurried, wait_for

MODULE = BIN.absolute().parent / "tests/modules/outcomes.so"
ROLES = ["io-activity-worker", "cpu-activity-worker"]


class Activities(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        ready(self.fleet.worker("workflow-worker", str(MODULE), "outcomes"))

    def workers(self, **settings):
        """One of each kind, each with the queue of its role's name."""
        started = {role: self.fleet.worker(role, str(MODULE), role, executor__workers=2, **settings) for role in ROLES}
        for worker in started.values():
            ready(worker)
        return started

    def ok(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual((code, unhurried(err)), (0, ""), args)
        return out

    def start(self, workflow_id, queue, activity, value=None, **options):
        request = {"queue": queue, "activity": activity, "input": value, "start_to_close_ms": 30000, "attempts": 1}
        self.ok("start", "--type", "RunOne", "-t", "outcomes", "-w", workflow_id, "-i", json.dumps({**request, **options}))

    def run_one(self, queue, activity, value=None, **options):
        workflow_id = f"{queue}-{activity}"
        self.start(workflow_id, queue, activity, value, **options)
        return json.loads(self.ok("result", workflow_id))

    def token(self, path):
        """(token, activity id), once the activity has written them."""
        return wait_for(lambda: path.exists() and path.read_text(), "the token").split()

    def test_heartbeats_by_the_worker_while_code_computes(self):
        self.workers()
        for role in ROLES:
            answer = self.run_one(role, "compute", {"ms": 3500}, heartbeat_ms=2000)
            self.assertEqual(answer, {"result": 1}, role)

    def test_cancellation_wakes_a_callback(self):
        self.workers()
        for role in ROLES:
            self.start(role, role, "called_back", heartbeat_ms=1500)
            wait_for(lambda: "called_back" in self.ok("describe", role), "the activity's start")
            self.ok("cancel", role)
            code, _, err = flotilla(self.fleet.target, "result", role)
            self.assertEqual(code, 1, role)
            self.assertIn("ancel", err)

    def test_drain_is_announced_long_before_cancellation(self):
        for how in [True, False]:  # by callback, by waiting
            workers = self.workers(shutdown_timeout="30s")
            for role, worker in workers.items():
                workflow_id = f"{role}-{how}"
                self.start(workflow_id, role, "until_stopping", how)
                worker.said("waiting for the drain")
                self.assertEqual(worker.stop(), 0)
                self.assertEqual(json.loads(self.ok("result", workflow_id)),
                                 {"result": {"stopping": True, "cancelled": False}}, role)

    def test_metrics_of_activity_code(self):
        for role, worker in self.workers().items():
            self.assertEqual(self.run_one(role, "count"), {"result": True})
            labels = f'namespace="default",task_queue="{role}",activity_type="count"'
            wanted = [
                f'outcomes_things_total{{{labels},kind="of_a_thread"}} 1000',
                f'outcomes_things_total{{{labels},kind="own"}} 2000',
                f"outcomes_level{{{labels}}} 7.5",
                f'outcomes_seconds_bucket{{{labels},le="0.005"}} 1',
                f"outcomes_seconds_count{{{labels}}} 2",
                f'outcomes_executed_total{{{labels},outcome="FLO_OK"}} 1',  # the interceptor's
            ]
            page = get(worker.address("http"), "/metrics")[1]
            for line in wanted:
                self.assertIn(line + "\n", page, role)
            self.assertNotIn("temporal_mine", page)
            worker.said("activity.metric_refused")

    def test_finishing_by_the_command_line(self):
        self.workers()
        for role in ROLES:
            for verb, by in [("complete", "token"), ("complete", "id"), ("fail", "token"), ("fail", "id")]:
                workflow_id = f"{role}-{verb}-{by}"
                path = pathlib.Path(self.fleet.folder.name, workflow_id)
                self.start(workflow_id, role, "later", {"file": str(path)})
                token, activity_id = self.token(path)
                target = ["--token", token] if by == "token" else ["-w", workflow_id, "-a", activity_id]
                self.assertEqual(self.ok("activity", "heartbeat", *target, "--detail", "1"), "")
                if verb == "complete":
                    self.ok("activity", "complete", *target, "--result", '{"by": "cli"}', "--identity", "me")
                    self.assertEqual(json.loads(self.ok("result", workflow_id)), {"result": {"by": "cli"}})
                else:
                    self.ok("activity", "fail", *target, "--reason", "no luck", "--type", "Unlucky", "--non-retryable")
                    self.assertEqual(json.loads(self.ok("result", workflow_id)), {"failed": "Activity task failed (type Activity): no luck (type Unlucky)",
                                      "type": "Unlucky"})
                code, _, err = flotilla(self.fleet.target, "activity", "complete", *target)
                self.assertEqual(code, 1, err)  # it is over

    def test_finishing_by_the_c_client(self):
        self.workers()
        for role in ROLES:
            for by in ["token", "id"]:
                workflow_id = f"{role}-{by}"
                path = pathlib.Path(self.fleet.folder.name, workflow_id)
                self.start(workflow_id, role, "later", {"file": str(path)})
                token, activity_id = self.token(path)
                target = [token] if by == "token" else [workflow_id, activity_id]
                env = {"TEMPORAL_ADDRESS": self.fleet.target}
                self.assertEqual(run(BIN.absolute().parent / "tests/completer", *target, '{"n": 1}', env=env), (0, "", ""))
                self.assertEqual(json.loads(self.ok("result", workflow_id)), {"result": {"n": 1}})
                code, _, err = run(BIN.absolute().parent / "tests/completer", *target, "2", env=env)
                self.assertEqual(code, 1, err)

    def test_pending_attempts_hold_no_slot(self):
        workers = self.workers(max_concurrent_activities=1)
        for role, worker in workers.items():
            paths = [pathlib.Path(self.fleet.folder.name, f"{role}-{i}") for i in range(5)]
            for i, path in enumerate(paths):
                self.start(f"{role}-pending-{i}", role, "later", {"file": str(path)})
            tokens = [self.token(path)[0] for path in paths]
            self.assertEqual(worker.stop(), 0)  # nothing to wait for
            counts = worker.said("worker.stopped")
            self.assertTrue(re.search(r"pending\W+5\b", counts), counts)
            for i, token in enumerate(tokens):
                self.ok("activity", "complete", "--token", token, "--result", str(i))
                self.assertEqual(json.loads(self.ok("result", f"{role}-pending-{i}")), {"result": i})

    def test_cancelling_from_outside(self):
        self.workers()
        for role in ROLES:
            path = pathlib.Path(self.fleet.folder.name, role)
            self.start(role, role, "later", {"file": str(path)})
            token, _ = self.token(path)
            code, _, err = flotilla(self.fleet.target, "activity", "cancel", "--token", token)
            self.assertEqual(code, 1, err)  # nobody asked for it yet
            self.assertIn("without activity being request", err)


if __name__ == "__main__":
    unittest.main()
