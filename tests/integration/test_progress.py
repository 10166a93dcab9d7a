#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/health fails when something stands still, and says what; an idle worker, and one without a server, is healthy."""
import os
import signal
import unittest

from support import BIN, FleetTest, flotilla, get, ready, wait_for

SANITIZED = os.environ.get("FLOTILLA_SANITIZE")
MODULE = BIN.parent / "tests/modules/lifecycle.so"


class Progress(FleetTest):
    def setUp(self):
        super().setUp()
        self.engine = self.fleet.engine()

    def test_idle_is_healthy(self):
        """Polls that come back empty, one after the other, are progress."""
        worker = self.fleet.worker("io-activity-worker", str(MODULE), "idle", server__long_poll_timeout="3s")
        ready(worker)
        count = "temporal_activity_poll_no_task_total"

        def empty_polls():
            self.assertEqual(get(worker.address("http"), "/health")[0], 200)
            return any(line.startswith(count) and float(line.split()[-1]) >= 4
                       for line in get(worker.address("metrics"), "/metrics")[1].splitlines())
        wait_for(empty_polls, "four empty polls")
        text = get(worker.address("http"), "/livez?verbose")[1]
        for line in ("[+]pollers ok", "[+]loop ok", "health check passed"):
            self.assertIn(line + "\n", text)

    def test_server_that_says_nothing(self):
        """A server that is stopped keeps its connections and answers no poll; when it goes on, so does the worker."""
        worker = self.fleet.worker("io-activity-worker", str(MODULE), "silent", server__long_poll_timeout="3s")
        ready(worker)
        self.engine.child.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: get(worker.address("http"), "/health")[0] == 503, "the silence is noticed")
            self.assertIn("[-]pollers failed: activity_task: a poll of silent has heard nothing",
                          get(worker.address("http"), "/health?verbose")[1])
        finally:
            self.engine.child.send_signal(signal.SIGCONT)
        wait_for(lambda: get(worker.address("http"), "/health")[0] == 200, "healthy again")
        ready(worker)

    def test_no_server_is_not_ready_and_healthy(self):
        worker = self.fleet.worker("io-activity-worker", str(MODULE), "gone", server__long_poll_timeout="3s")
        ready(worker)
        self.engine.stop()
        self.fleet.processes.remove(self.engine)
        wait_for(lambda: get(worker.address("http"), "/ready")[0] == 503, "not ready")
        self.assertEqual(get(worker.address("http"), "/health")[0], 200)
        worker.said('"msg":"Connection error"')
        self.assertIn("[-]server failed: ", get(worker.address("http"), "/ready?verbose")[1])

    def test_endless_workflow_code(self):
        """Without threads for workflows, code that never comes back stops the loop: the page still answers, and names the workflow."""
        worker = self.fleet.worker("workflow-worker", str(MODULE), "life", health__stall_timeout="1s",
                                   executors="0")
        ready(worker)
        flotilla(self.fleet.target, "start", "--workflow-id", "stuck-one", "--type", "EndlessWorkflow",
                 "--task-queue", "life")
        try:
            line = worker.said("loop.stalled")
            for path in ("/health", "/livez", "/ready", "/startupz", "/livez?verbose"):
                status, body = get(worker.address("http"), path)
                self.assertEqual(status, 503)
                self.assertIn("the event loop has not turned", body)
        finally:
            worker.child.kill()
            worker.child.wait()
            self.fleet.processes.remove(worker)
        if SANITIZED != "thread":  # that one holds signals back until the code calls something
            self.assertIn("in the code of workflow stuck-one, type EndlessWorkflow", line)
            self.assertIn("stuck-one", body)


if __name__ == "__main__":
    unittest.main()
