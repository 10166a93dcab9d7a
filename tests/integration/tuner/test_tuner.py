#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Resource-based slots on real workers: up while there is room, down and back under load, never out of memory."""
import unittest

from machine import Cgroup, FakeProc
from fleet_tuned import adjustments, metric, result, start_work, start_worker

from support import SANITIZED, FleetTest, flotilla, wait_for

MB = 1 << 20


class Tuner(FleetTest):
    def setUp(self):
        self.groups = []
        self.addCleanup(lambda: [group.remove() for group in self.groups])  # first in, so after the fleet has ended
        super().setUp()
        self.fleet.engine()
        self.workflows = start_worker(self.fleet, "workflow-worker")

    def fake_machine(self):
        machine = FakeProc(self.fleet.folder.name + "/proc")
        self.addCleanup(machine.stop)
        return machine

    def cgroup(self, **limits):
        try:
            group = Cgroup("flotilla-tuner", **limits)
        except OSError as error:
            print(f"SKIPPED {self.id()}: this machine gives us no cgroup: {error}", flush=True)
            self.skipTest(f"no cgroup: {error}")
        self.groups.append(group)
        return group

    def slots(self, worker):
        return metric(worker, "flotilla_tuner_slots", worker_type="ActivityWorker")

    def test_slots_follow_a_machine(self):
        """Room: up. CPU taken: down. Memory above the watermark: none. Free again: up."""
        machine = self.fake_machine()
        worker = start_worker(self.fleet, "io-activity-worker", env={"FLOTILLA_PROC": str(machine.folder)},
                              tuner__kind="resource", tuner__activity_slots__min=2, tuner__activity_slots__max=16)
        self.assertIn("memory: machine", worker.said("Slots follow CPU and memory"))
        self.assertEqual(self.slots(worker), 2)
        start_work(self.fleet, "naps", "nap", 1900, ms=200)  # more than the test waits for
        wait_for(lambda: self.slots(worker) > 10, "slots go up")
        self.assertEqual(adjustments(worker)[0]["reason"], "headroom")
        self.assertEqual(adjustments(worker)[0]["from"], 2)

        machine.busy = 1.0
        wait_for(lambda: self.slots(worker) < 8, "slots go down")
        self.assertGreater(metric(worker, "temporal_resource_slots_cpu_usage"), 90)
        self.assertLess(metric(worker, "temporal_resource_slots_cpu_pid_output"), 0)
        wait_for(lambda: metric(worker, "flotilla_tuner_refusals_total", reason="cpu"), "refusals for CPU are counted")
        wait_for(lambda: adjustments(worker)[-1]["reason"] == "cpu", "the log says why")

        machine.used = 0.95
        wait_for(lambda: self.slots(worker) == 0, "no slots above the watermark")
        wait_for(lambda: adjustments(worker)[-1]["reason"] == "watermark", "the log says why")
        self.assertEqual(adjustments(worker)[-1]["to"], 0)
        used = "temporal_worker_task_slots_used"
        wait_for(lambda: metric(worker, used, worker_type="ActivityWorker") == 0, "what ran has ended")
        received = "temporal_activity_task_received_total"
        before = metric(worker, received)

        machine.busy, machine.used = 0.0, 0.1
        wait_for(lambda: self.slots(worker) >= 2, "slots come back")
        wait_for(lambda: metric(worker, received) > before, "work goes on")
        self.assertEqual(flotilla(self.fleet.target, "terminate", "naps")[0], 0)

    def test_workflow_slots_follow_too(self):
        machine = self.fake_machine()
        self.workflows.stop()
        worker = start_worker(self.fleet, "workflow-worker", env={
            "FLOTILLA_PROC": str(machine.folder), "TEMPORAL_WORKER_TARGET_CPU": "0.9",
            "TEMPORAL_WORKER_WORKFLOWS_MIN_SLOTS": "2", "TEMPORAL_WORKER_WORKFLOWS_MAX_SLOTS": "30",
            "TEMPORAL_WORKER_MAX_CONCURRENT_WORKFLOW_TASK_POLLS": "20"})
        self.assertIn("TEMPORAL_WORKER_TARGET_CPU", worker.said("Slots follow CPU and memory"))
        start_worker(self.fleet, "io-activity-worker")
        for i in range(5):
            start_work(self.fleet, f"w{i}", "nap", 50, ms=1)
        for i in range(5):
            self.assertEqual(result(self.fleet, f"w{i}"), 50)
        machine.used = 0.95
        start_work(self.fleet, "stopped", "nap", 5, ms=1)
        wait_for(lambda: metric(worker, "flotilla_tuner_slots", worker_type="WorkflowWorker") == 0, "no slots")
        machine.used = 0.1
        self.assertEqual(result(self.fleet, "stopped"), 5)

    def test_memory_limit_is_never_reached(self):
        """Thirty activities of 24 MB each, a while after their start, in 256 MB: three times too much at once."""
        if SANITIZED:
            self.skipTest("the sanitizers keep what is freed, so that memory only grows")
        group = self.cgroup(memory_bytes=256 * MB, cpu_quota_us=150000)  # so that others' CPU does not count
        worker = start_worker(self.fleet, "io-activity-worker", group, tuner__kind="resource",
                              tuner__activity_slots__min=1, tuner__activity_slots__max=100,
                              max_concurrent_activity_task_polls=5)
        self.assertIn("limit 256 MiB", worker.said("Slots follow CPU and memory"))
        start_work(self.fleet, "holds", "hold", 30, mb=24, after_ms=200, ms=200)
        wait_for(lambda: self.slots(worker) > 1, "slots go up")
        most = [0]

        def ended():
            most[0] = max(most[0], group.memory())
            return "Completed" in flotilla(self.fleet.target, "describe", "holds")[1]
        wait_for(ended, "all held their memory", 120)
        self.assertEqual(result(self.fleet, "holds"), 30)
        self.assertEqual(group.oom_kills(), 0)
        self.assertLess(most[0], 256 * MB)
        self.assertGreater(most[0], 48 * MB, "more than one at once")
        self.assertIsNone(worker.child.poll())
        print(f"most memory {most[0] / MB:.0f} of 256 MB, slots "
              f"{[line['to'] for line in adjustments(worker)]}", flush=True)

    def test_cpu_quota_is_what_counts(self):
        """A fifth of a core: one task that computes fills it, whatever else the machine has."""
        group = self.cgroup(cpu_quota_us=20000)
        worker = start_worker(self.fleet, "io-activity-worker", group, tuner__kind="resource",
                              tuner__activity_slots__min=1, tuner__activity_slots__max=50)
        self.assertIn("quota 0.20 cores", worker.said("Slots follow CPU and memory"))
        start_work(self.fleet, "burns", "burn", 20, ms=20)
        wait_for(lambda: metric(worker, "flotilla_tuner_refusals_total", reason="cpu"), "growth is refused for CPU")
        self.assertLessEqual(self.slots(worker), 10)
        self.assertEqual(result(self.fleet, "burns"), 20)


if __name__ == "__main__":
    unittest.main()
