#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a worker does when it is told to: each command changes what it says, is answered, and nothing else changes."""
import json
import re
import signal
import unittest

from fleet_control import ControlTest
from support import get, wait_for


class Commands(ControlTest):
    def slots(self, boot, kind="activity"):
        return self.dump(boot)["capacity"][kind]

    def polls(self, boot):
        return {group["kind"]: group for queue in self.dump(boot)["queues"]["list"] for group in queue["pollers"]}

    def metric(self, worker, line):
        found = re.search(rf"^{re.escape(line)} (\S+)$", get(worker.address("http"), "/metrics")[1], re.M)
        return float(found[1]) if found else 0

    def test_quiet_resume_drain(self):
        """Quiet: alive, without polls; resumed: it works again; drained: the process ends, with exit code 0."""
        worker, boot = self.start_worker("io-activity-worker", max_concurrent_activities=3)
        self.start_worker("workflow-worker")
        self.obeyed(boot, "quiet")
        self.router.event("worker.quiet", reason="command")
        self.assertEqual(self.dump(boot)["state"], "quiet")
        self.assertEqual(get(worker.address("http"), "/ready")[0], 503)
        self.assertIn("already", self.obeyed(boot, "quiet")["message"])
        self.obeyed(boot, "resume")
        self.router.event("worker.resumed", reason="command")
        self.start_workflow("w", "NapsWorkflow", {"queue": "control", "naps": [1, 1, 1]})
        self.assertEqual(self.result("w"), 3)
        self.obeyed(boot, "drain")
        self.router.event("worker.draining", reason="command")
        self.router.event("worker.stopped", exit_code=0)
        self.assertEqual(worker.child.wait(20), 0)

    def test_resize(self):
        """Slots between 1 and what there are threads for; threads too; more than one task then runs at once."""
        worker, boot = self.start_worker("io-activity-worker", max_concurrent_activities=1, executor__workers=2)
        self.start_worker("workflow-worker")
        self.assertEqual(self.obeyed(boot, "resize", slots=2)["message"], "there are 2 slots; 0 are in use")
        self.assertEqual(self.setting(boot, "max_concurrent_activities"), ("2", "by command"))
        self.denied(boot, "resize", "3 slots for activities with 2 executors: from 1 to 2 are possible", slots=3)
        self.denied(boot, "resize", "from 1 to 2 are possible", slots=0)
        self.obeyed(boot, "resize", executors=8)
        self.obeyed(boot, "resize", slots=8, kind="activity", queue="control")
        self.start_workflow("w", "NapsWorkflow", {"queue": "control", "naps": [60000] * 8})
        wait_for(lambda: self.slots(boot)["running"] == 8, "eight at once")
        tasks = self.dump(boot)["activity_tasks"]
        self.assertEqual([(t["type"], t["workflow_id"], t["attempt"], t["state"]) for t in tasks["list"]],
                         [("nap", "w", 1, "running")] * 8)
        self.obeyed(boot, "resize", slots=1)  # those that run go on
        queue, = self.dump(boot)["queues"]["list"]
        self.assertEqual((queue["slots"]["total"], queue["slots"]["running"]), (1, 8))
        self.denied(boot, "resize", "there is no argument \"slot\"; possible are: kind slots", slot=1)
        self.denied(boot, "resize", "there is no argument \"kind slots\"", **{"kind slots": 1})
        self.denied(boot, "resize", "either", slots=1, executors=1)
        self.denied(boot, "resize", "no integer", slots="many")
        self.denied(boot, "resize", "has no slots for workflow tasks", slots=1, kind="workflow")
        self.denied(boot, "resize", "is no kind of slots", slots=1, kind="nexus")
        self.denied(boot, "resize", "does not poll a queue", slots=1, queue="other")
        wait_for(lambda: self.metric(worker, 'flotilla_rejects_total{reason="control"}') == 9, "all counted")
        worker.said('"event":"control.denied"')
        self.assertEqual(worker.stop(signal.SIGTERM), 0)

    def test_resize_others(self):
        """Workflow workers have slots of two kinds; processes are not resized; a tuner's maximum is."""
        _, flows = self.start_worker("workflow-worker")
        self.obeyed(flows, "resize", kind="workflow", slots=7)
        self.obeyed(flows, "resize", kind="local-activity", slots=9)
        capacity = self.dump(flows)["capacity"]
        self.assertEqual((capacity["workflow"]["total"], capacity["local-activity"]["total"]), (7, 9))
        self.denied(flows, "resize", "from 2 to 10000", slots=1)
        self.denied(flows, "resize", "it has no executors", executors=1)
        _, cpu = self.start_worker("cpu-activity-worker", executor__workers=1, executor__pin="false")
        self.denied(cpu, "resize", "executor processes are made when the worker starts", executors=2)
        tuned = "tuner: {kind: resource, activity_slots: {min: 2, max: 40}}\n"
        _, io = self.start_worker("io-activity-worker", text=tuned)
        self.assertIn("the tuner gives at most 1 slots", self.obeyed(io, "resize", slots=1)["message"])
        self.assertEqual(self.slots(io)["total"], 1)
        self.assertEqual(self.setting(io, "tuner.activity_slots.max"), ("1", "by command"))

    def test_resize_many_queues(self):
        """Each wants a place to poll with, as in the file."""
        _, boot = self.start_worker("io-activity-worker", queues="abc", executor__workers=6)
        self.denied(boot, "resize", "2 threads: from 3 to", executors=2)
        self.denied(boot, "resize", "from 3 to 6 are possible", slots=2)
        self.obeyed(boot, "resize", slots=1, queue="b")
        self.obeyed(boot, "resize", slots=3)
        self.obeyed(boot, "resize", executors=3)
        self.assertEqual(self.slots(boot)["total"], 3)

    def test_pollers(self):
        _, flows = self.start_worker("workflow-worker")
        self.obeyed(flows, "pollers", n=10)
        wait_for(lambda: {k: v["target"] for k, v in self.polls(flows).items()} ==
                 {"workflow_task": 2, "sticky_workflow_task": 8}, "ten polls, shared out")
        self.denied(flows, "pollers", "1 polls: from 2 to 1000", n=1)
        self.denied(flows, "pollers", "either", n=2, min=3, max=4)
        self.obeyed(flows, "pollers", min=1, max=20)
        self.assertEqual({(v["min"], v["max"]) for v in self.polls(flows).values()}, {(1, 20)})
        self.denied(flows, "pollers", "polls: from 5 to 1000", min=5, max=4)
        self.denied(flows, "pollers", "hold for all queues", min=5, max=6, queue="control")
        _, io = self.start_worker("io-activity-worker", max_concurrent_activities=6)
        self.obeyed(io, "pollers", n=4)
        wait_for(lambda: self.dump(io)["polls"] == 4, "four polls")
        group = self.polls(io)["activity_task"]
        self.assertEqual(len(group["silent_ms"]["list"]), 4)

    def test_loglevel(self):
        """A debug line comes only after the command; executor processes obey too."""
        worker, boot = self.start_worker("io-activity-worker")
        self.start_worker("workflow-worker")
        self.assertEqual(self.obeyed(boot, "loglevel", level="debug")["message"], "debug, was info")
        self.start_workflow("w", "NapsWorkflow", {"queue": "control", "naps": [1]})
        worker.said('"event":"activity.task"')
        self.denied(boot, "loglevel", "is no level: trace, debug, info, warn or error", level="loud")
        self.assertEqual(self.setting(boot, "log.level"), ("debug", "by command"))

    def test_not_for_it(self):
        """Unknown, of another run, of another shape: refused with a sentence, counted, and nothing changes."""
        worker, boot = self.start_worker("io-activity-worker")
        before = self.dump(boot)
        self.denied(boot, "explode", "knows no command \"explode\"")
        self.denied(boot, "drain", "the command has none", now=True)
        ack = self.router.command(boot, "drain", addressee="00000000-0000-4000-8000-000000000000")
        self.assertFalse(ack["ok"])
        self.assertIn("another run", ack["message"])
        for frame in (b"", b"{", b"[]", b"\xff" * 100, b'{"v":1,"type":"command"}', b"x" * 60000):
            self.router.send(boot, frame)
        wait_for(lambda: self.metric(worker, 'flotilla_rejects_total{reason="control"}') == 9, "all counted")
        after = self.dump(boot)
        self.assertEqual((after["state"], after["capacity"], after["settings"]),
                         (before["state"], before["capacity"], before["settings"]))

    def test_dump_is_bounded(self):
        """Many tasks with long ids: the lists are cut, and say by how much; secrets do not show."""
        worker, boot = self.start_worker("io-activity-worker", max_concurrent_activities=100, executor__workers=100)
        self.start_worker("workflow-worker", max_concurrent_workflow_tasks=10)
        long_id = "w" * 800
        self.start_workflow(long_id, "NapsWorkflow", {"queue": "control", "naps": [60000] * 100})
        wait_for(lambda: self.slots(boot)["running"] == 100, "a hundred at once")
        dump = self.dump(boot)
        self.assertLess(len(json.dumps(dump)), 64 << 10)
        tasks = dump["activity_tasks"]
        self.assertGreater(tasks["left_out"], 0)
        self.assertEqual(len(tasks["list"]) + tasks["left_out"], 100)
        for key in ("version", "identity", "role", "server", "cache", "executor", "quarantine", "last_errors"):
            self.assertIn(key, dump)
        self.assertEqual(worker.stop(signal.SIGTERM), 0)

    def test_dump_of_a_file_far_away(self):
        """Each setting says where it stands: that is cut, too."""
        text = ("identity: me\nlog: {level: info, summary_interval: 1m}\nmax_activities_per_second: 5\n"
                "max_concurrent_activities: 3\nmax_concurrent_activity_task_polls: 2\n"
                "pollers: {min: 1, max: 5, initial: 2}\nquarantine: {crashes: 3, window: 1h, max_inputs: 9}\n")
        _, boot = self.start_worker("io-activity-worker", text=text, below="/".join(["d" * 200] * 18))
        self.assertTrue(self.dump(boot)["settings"]["identity"]["from"].startswith(self.fleet.folder.name))


if __name__ == "__main__":
    unittest.main()
