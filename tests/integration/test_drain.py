#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM to each process under load: exit 0 within its shutdown time, nothing lost; a second signal: at once."""
import os
import signal
import time
import unittest

from support import FleetTest, finish_batch, flotilla, ready, start_batch, wait_for

COUNT = int(os.environ.get("COUNT", 3000))


class Drain(FleetTest):
    def setUp(self):
        super().setUp()
        self.db = f"{self.fleet.folder.name}/engine.db"
        self.engine = self.fleet.engine("--db", self.db)

    def under_load(self, restart):
        """Run workflows; in the middle call restart(), which stops one process and starts its successor."""
        batch = start_batch(self.fleet.target, "load", "--count", COUNT, "--concurrency", 20)
        wait_for(lambda: flotilla(self.fleet.target, "list", "--limit", 1)[1].count("load-"), "the first workflow")
        restart()
        self.assertIsNone(batch.poll(), "the load ended before the restart")
        answer = finish_batch(self, batch)
        self.assertEqual((answer["completed"], answer["failed"]), (COUNT, 0))

    def test_workers_end_cleanly(self):
        workers = self.fleet.echo_workers()
        for worker in workers:
            ready(worker)

        def restart():
            for role, worker in zip(["workflow-worker", "io-activity-worker"], workers):
                began = time.monotonic()
                self.assertEqual(worker.stop(signal.SIGTERM), 0, worker.output[-5:])
                self.assertLess(time.monotonic() - began, 31)
                self.fleet.worker(role, "echo", "benchmark")
        self.under_load(restart)

    def test_engine_ends_cleanly(self):
        for worker in self.fleet.echo_workers():
            ready(worker)

        def restart():
            self.assertEqual(self.engine.stop(signal.SIGTERM), 0, self.engine.output[-5:])
            self.engine = self.fleet.start("flotilla-engine", [self.fleet.bin / "flotilla-engine", "--listen",
                                                               self.fleet.target, "--db", self.db])
            self.engine.address("grpc")
        self.under_load(restart)

    def test_sigint_is_as_good(self):
        workers = self.fleet.echo_workers()
        for worker in workers:
            ready(worker)
            self.assertEqual(worker.stop(signal.SIGINT), 0)
        self.assertEqual(self.engine.stop(signal.SIGINT), 0)

    def test_second_signal_ends_at_once(self):
        """A worker that waits for an activity goes at the second signal, with a code that says so."""
        worker = self.fleet.worker("io-activity-worker", "document", "document-io-activity-queue")
        flow = self.fleet.worker("workflow-worker", "document", "document-workflow-queue")
        for process in (worker, flow):
            ready(process)
        import socket
        with socket.socket() as silent:  # an HTTP server that never answers keeps fetch_document busy
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            batch = start_batch(self.fleet.target, "documents", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
            self.addCleanup(batch.wait)
            self.addCleanup(batch.kill)
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                worker.child.send_signal(signal.SIGTERM)
                wait_for(lambda: any("drain" in line.lower() for line in worker.output), "the drain")
                began = time.monotonic()
                code = worker.stop(signal.SIGTERM)
                self.assertLess(time.monotonic() - began, 2)
                self.assertNotEqual(code, 0)
            self.fleet.processes.remove(worker)
            batch.stdout.close()
            batch.stderr.close()


if __name__ == "__main__":
    unittest.main()
