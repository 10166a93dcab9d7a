#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One activity worker on several task queues, and with fewer tokens than slots."""
import json
import pathlib
import unittest

from support import FleetTest, finish_batch, flotilla, get, ready, start_batch

FAN = 200


def moment(event):
    """The time of an event as text that sorts: fractions of a second have as many digits as they need."""
    whole, _, fraction = event["eventTime"].rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def most_at_once(events):
    """How many activities were between their start and their end at once, as the history tells it."""
    times = []
    for event in events:
        if event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_STARTED":
            times.append((moment(event), 1))
        elif event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED":
            times.append((moment(event), -1))
    most = now = 0
    for _, step in sorted(times):  # at the same time an end counts before a start
        now += step
        most = max(most, now)
    return most


class Queues(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def activity_worker(self, text):
        config = pathlib.Path(self.fleet.folder.name, "io.yaml")
        config.write_text(f"server: {{address: \"{self.fleet.target}\"}}\nmodules: [echo]\n"
                          f"health: {{port: 0}}\nmetrics: {{port: 0}}\n{text}")
        worker = self.fleet.start("io-activity-worker", [self.fleet.bin / "io-activity-worker", "--config", config])
        ready(worker)
        return worker

    def load(self, queue, count, n):
        return start_batch(self.fleet.target, "load", "--type", "FanWorkflow", "--task-queue", queue, "--input",
                           json.dumps({"n": n}), "--expect", n * (n - 1) // 2, "--count", count)

    def test_tokens_bound_what_runs_at_once(self):
        """50 slots, 5 tokens: all complete, and never more than 5 at once."""
        ready(self.fleet.worker("workflow-worker", "loadtest", "benchmark"))
        worker = self.activity_worker("task_queue: benchmark\nmax_concurrent_activities: 50\n"
                                      "max_concurrent_activity_task_polls: 50\nexecutor: {workers: 50}\n"
                                      "tokens: {db: 5}\nactivities: {echo: {tokens: {db: 1}}}\n")
        for call in [["start", "--type", "FanWorkflow", "--task-queue", "benchmark", "--workflow-id", "fan", "--input",
                      json.dumps({"n": FAN})], ["result", "fan"], ["history", "fan", "--output", "json"]]:
            code, out, err = flotilla(self.fleet.target, *call)
            self.assertEqual(code, 0, err)
        self.assertIn(most_at_once(json.loads(out)["events"]), range(1, 6))
        page = get(worker.address("metrics"), "/metrics")[1]
        self.assertIn('flotilla_tokens_used{token="db"} 5', page)  # with the polls that are out
        self.assertIn('flotilla_tokens_available{token="db"} 0', page)

    def test_several_queues_have_their_own_figures(self):
        for queue in ["left", "right"]:
            ready(self.fleet.worker("workflow-worker", "loadtest", queue))
        worker = self.activity_worker("queues:\n  - {name: left, weight: 3}\n  - right\nexecutor: {workers: 6}\n")
        self.assertIn("left, right", worker.said("Worker started"))
        for batch in [self.load("left", 20, 30), self.load("right", 20, 30)]:
            report = finish_batch(self, batch)
            self.assertEqual((report["completed"], report["errors"]), (20, {}))
        page = get(worker.address("metrics"), "/metrics")[1]
        for queue in ["left", "right"]:
            self.assertIn(f'temporal_activity_task_received_total{{namespace="default",task_queue="{queue}",'
                          'activity_type="echo",eager="false"} 600', page)
            self.assertIn(f'temporal_worker_task_slots_used{{namespace="default",task_queue="{queue}"', page)
        self.assertEqual(worker.stop(), 0)

    def test_polls_follow_the_engines_advice(self):
        """A backlog brings more polls than there were at first."""
        ready(self.fleet.worker("workflow-worker", "loadtest", "benchmark"))
        worker = self.activity_worker("task_queue: benchmark\nmax_concurrent_activities: 40\nexecutor: {workers: 40}\n"
                                      "pollers: {kind: autoscale, initial: 1, max: 20}\nlog: {level: debug}\n")
        batch = self.load("benchmark", 100, 100)
        self.assertIn('"advice":1', worker.said("Another number of polls"))
        report = finish_batch(self, batch)
        self.assertEqual((report["completed"], report["errors"]), (100, {}))


if __name__ == "__main__":
    unittest.main()
