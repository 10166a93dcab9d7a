#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The YAML is read again: what can change does, what cannot is named, and a bad file changes nothing."""
import signal
import unittest

from fleet_control import ControlTest
from support import wait_for

LINES = ("max_concurrent_activities: {slots}\nmax_concurrent_activity_task_polls: {polls}\nlog: {{level: {level}}}\n"
         "health: {{port: 0, stall_timeout: {stall}}}\nmax_activities_per_second: {rate}\nidentity: {identity}\n")
FIRST = {"slots": 2, "polls": 2, "level": "info", "stall": "10s", "rate": 0, "identity": "me"}


def lines(**changes):
    return LINES.format(**{**FIRST, **changes})


class Reload(ControlTest):
    def write(self, worker, text):
        base = [line for line in worker.config.read_text().splitlines()
                if not line.startswith(("health:", "max_", "log:", "identity:"))]
        worker.config.write_text("\n".join(base) + "\n" + text)

    def setUp(self):
        super().setUp()
        self.worker, self.boot = self.start_worker("io-activity-worker", executor__workers=8)
        self.write(self.worker, lines())
        first = self.obeyed(self.boot, "reload")["data"]
        self.assertEqual(first["needs_restart"], ["identity"])

    def test_applied_or_needs_restart(self):
        self.write(self.worker, lines(slots=5, polls=4, level="debug", stall="20s", rate=50, identity="other"))
        ack = self.obeyed(self.boot, "reload")
        self.assertEqual(ack["message"], "5 settings applied, 1 need a restart")
        self.assertEqual(sorted(ack["data"]["applied"]),
                         ["health.stall_timeout", "log.level", "max_activities_per_second",
                          "max_concurrent_activities", "max_concurrent_activity_task_polls"])
        self.assertEqual(ack["data"]["needs_restart"], ["identity"])
        self.router.event("worker.reloaded", needs_restart="identity",
                          applied="max_concurrent_activities, max_concurrent_activity_task_polls, "
                                  "max_activities_per_second, health.stall_timeout, log.level")
        dump = self.dump(self.boot)
        self.assertEqual(dump["queues"]["list"][0]["slots"]["total"], 5)
        self.assertEqual(dump["queues"]["list"][0]["pollers"][0]["target"], 4)
        self.assertEqual(dump["settings"]["log.level"]["value"], "debug")
        self.assertTrue(dump["settings"]["log.level"]["from"].startswith(str(self.worker.config)))
        self.assertNotEqual(dump["settings"]["identity"]["value"], "other")
        again = self.obeyed(self.boot, "reload")["data"]
        self.assertEqual((again["applied"], again["needs_restart"]), ([], ["identity"]))

    def test_rate_and_work_go_on(self):
        """A rate limit comes and goes while tasks run: none is lost, none is done twice."""
        self.start_worker("workflow-worker")
        for i, rate in enumerate((100, 0, 200, 0)):
            self.start_workflow(f"w{i}", "NapsWorkflow", {"queue": "control", "naps": [20] * 10})
            self.write(self.worker, lines(rate=rate, slots=3 + i % 2))
            self.assertIn("max_activities_per_second", self.obeyed(self.boot, "reload")["data"]["applied"])
            self.assertEqual(self.result(f"w{i}"), 10)

    def test_tuner_wants_a_restart(self):
        """And so do the slots that came with it: what the worker says it does is what it does."""
        self.write(self.worker, lines(slots=7, polls=3) + "tuner: {kind: resource}\n")
        ack = self.obeyed(self.boot, "reload")["data"]
        self.assertEqual(ack["applied"], ["max_concurrent_activity_task_polls"])
        self.assertLessEqual({"tuner.kind", "max_concurrent_activities"}, set(ack["needs_restart"]))
        queue, = self.dump(self.boot)["queues"]["list"]
        self.assertEqual((queue["slots"]["total"], queue["pollers"][0]["target"]), (2, 3))
        self.assertEqual(self.setting(self.boot, "max_concurrent_activities")[0], "2")

    def test_signal(self):
        self.write(self.worker, lines(slots=3))
        self.worker.child.send_signal(signal.SIGHUP)
        self.assertIn('"applied":"max_concurrent_activities"', self.worker.said('"why":"SIGHUP"'))

    def test_bad_file(self):
        """Refused with the place of the mistake; nothing has changed, not even what was good in it."""
        self.write(self.worker, lines(slots=7, polls="many"))
        before = self.dump(self.boot)["settings"]
        ack = self.denied(self.boot, "reload", "max_concurrent_activity_task_polls: \"many\" is no integer")
        self.assertRegex(ack["message"], rf"^{self.worker.config}:\d+:\d+: ")
        self.assertEqual(self.dump(self.boot)["settings"], before)
        self.router.event("worker.reload_failed")
        self.worker.config.unlink()
        self.denied(self.boot, "reload", "No such file")

    def test_goes_back_to_the_file(self):
        """What a command has set is taken back."""
        self.obeyed(self.boot, "resize", slots=6)
        self.obeyed(self.boot, "pollers", min=1, max=9)
        self.obeyed(self.boot, "loglevel", level="error")
        applied = self.obeyed(self.boot, "reload")["data"]["applied"]
        self.assertEqual(sorted(applied), ["log.level", "max_concurrent_activities", "pollers.kind", "pollers.max"])
        self.assertEqual(self.setting(self.boot, "log.level")[0], "info")
        wait_for(lambda: self.dump(self.boot)["queues"]["list"][0]["slots"]["total"] == 2, "two slots again")


if __name__ == "__main__":
    unittest.main()
