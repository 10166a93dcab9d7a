#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an idle worker takes: memory and threads; a hundred polls cost no thread."""
import os
import pathlib
import unittest

from support import FleetTest, SANITIZED, ready

IDLE_MB = 8.0
# The loop, the watchdog, two of libzmq's; the thread sanitizer has one of its own.
THREADS = 5 if os.environ.get("FLOTILLA_SANITIZE") == "thread" else 4


def status(process, key):
    for line in pathlib.Path(f"/proc/{process.child.pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(key)


class Footprint(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def test_idle_workers_are_small(self):
        """Threads beside the one that the pool begins with: at most THREADS. Resident: at most 8 MB (not under a sanitizer)."""
        endpoint = f"ipc://{self.fleet.folder.name}/nobody.sock"
        workers = {role: self.fleet.worker(role, module, "q", supervisor__endpoint=endpoint)
                   for role, module in [("workflow-worker", "document"), ("io-activity-worker", "document"),
                                        ("cpu-activity-worker", "document")]}
        pools = {"workflow-worker": 0, "io-activity-worker": 1, "cpu-activity-worker": 0}
        for role, worker in workers.items():
            ready(worker)
            self.assertLessEqual(status(worker, "Threads") - pools[role], THREADS, role)
            if not SANITIZED:
                self.assertLessEqual(status(worker, "VmRSS") / 1024, IDLE_MB, role)

    def test_hundred_polls_cost_no_thread(self):
        few = self.fleet.worker("workflow-worker", "echo", "few")
        many = self.fleet.worker("workflow-worker", "echo", "many", max_concurrent_workflow_tasks=100,
                                 max_concurrent_workflow_task_polls=100)
        ready(few)
        ready(many)
        self.assertEqual(status(many, "Threads"), status(few, "Threads"))


if __name__ == "__main__":
    unittest.main()
