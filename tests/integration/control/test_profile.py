#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A CPU profile of threads and of executor processes: folded stacks that name the activity's own function."""
import re
import unittest

from fleet_control import QUEUE, ControlTest

BURN = {"fibonacci": 0, "primes": 0, "sort": 0, "hash": 100000000, "rounds": 100000, "queue": QUEUE}


class Profile(ControlTest):
    def check(self, role, **settings):
        self.start_worker("workflow-worker", "loadtest")
        _, boot = self.start_worker(role, "loadtest", **settings)
        for i in range(2):
            self.start_workflow(f"w{i}", "cpu_intensive", BURN)
        wait = self.router.until
        wait(lambda: any(s["role"] == role.replace("-worker", "") and s["slots"][0]["used"] > 0
                         for s in self.router.snapshots.values()), "a task at work")
        ack = self.obeyed(boot, "profile", seconds=1, hz=99)
        data = ack["data"]
        lines = data["folded"].splitlines()
        self.assertGreater(data["samples"], 10, ack)
        for line in lines:
            self.assertRegex(line, r"^\S+(;\S+)* \d+$")
        self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in lines) + data["left_out"], data["samples"])
        self.assertTrue(any(re.search(r";loadtest_cpu_intensive", line) for line in lines), data["folded"][:2000])
        stacks = [line.rsplit(" ", 1)[0] for line in lines]
        self.assertEqual(len(set(stacks)), len(stacks), "a stack stands in one line")
        self.assertLessEqual(len(data["folded"]), 56 << 10)
        return boot

    def test_threads(self):
        boot = self.check("io-activity-worker")
        self.denied(boot, "profile", "1 to 60 seconds", seconds=61)
        self.denied(boot, "profile", "1 to 99 samples", hz=100)

    def test_processes(self):
        self.check("cpu-activity-worker", executor__workers=2, executor__pin="false", max_concurrent_activities=2)

    def test_workflow_loop(self):
        """A worker with nothing to do: no samples, and an answer all the same."""
        _, boot = self.start_worker("workflow-worker", "loadtest")
        data = self.obeyed(boot, "profile", seconds=1)["data"]
        self.assertLess(data["samples"], 50)

    def test_one_at_a_time_and_a_drain_ends_it(self):
        """A worker that ends answers first, long before the profile's time."""
        worker, boot = self.start_worker("io-activity-worker", "loadtest")
        long = {"v": 1, "type": "command", "boot": boot, "id": 1000, "command": "profile", "args": {"seconds": 60}}
        self.router.send(boot, long)
        worker.said('"result":"begun"')
        self.denied(boot, "profile", "is being made already", seconds=1)
        self.obeyed(boot, "drain")
        ack = self.router.until(lambda: next((a for a in self.router.acks if a["id"] == 1000), None), "its answer")
        self.assertEqual((ack["ok"], ack["message"]), (False, "the worker has stopped"))
        self.assertEqual(worker.child.wait(20), 0)


if __name__ == "__main__":
    unittest.main()
