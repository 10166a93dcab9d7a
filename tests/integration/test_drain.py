#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM to each process under load: exit 0 within its shutdown time, nothing lost; a second signal: at once."""
import os
import pathlib
import signal
import socket
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

    def test_workers_end_soon_after_their_server(self):
        """There is nobody to say goodbye to: a worker does not spend its shutdown time on that."""
        workers = self.fleet.echo_workers()
        for worker in workers:
            ready(worker)
        self.assertEqual(self.engine.stop(signal.SIGTERM), 0)
        began = time.monotonic()
        for worker in workers:
            self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_sigint_is_as_good(self):
        workers = self.fleet.echo_workers()
        for worker in workers:
            ready(worker)
            self.assertEqual(worker.stop(signal.SIGINT), 0)
        self.assertEqual(self.engine.stop(signal.SIGINT), 0)

    def document_load(self):
        """(workers, batch): documents at work on the three workers."""
        workers = self.fleet.document_workers()
        for worker in workers:
            ready(worker)
        folder = pathlib.Path(self.fleet.folder.name, "texts")
        folder.mkdir()
        for i in range(200):
            (folder / f"{i}.txt").write_text(f"text {i} " + "the quick brown fox and the dog " * 500)
        batch = start_batch(self.fleet.target, "documents", "--concurrency", 20, folder)
        wait_for(lambda: "Completed" in flotilla(self.fleet.target, "list", "--limit", 50)[1], "the first document")
        return workers, batch

    def test_document_workers_end_cleanly(self):
        workers, batch = self.document_load()
        for role, worker, queue in zip(["workflow-worker", "io-activity-worker", "cpu-activity-worker"], workers,
                                       ["workflow", "io-activity", "cpu-activity"]):
            self.assertIsNone(batch.poll(), "the load ended before the last worker")
            self.assertEqual(worker.stop(signal.SIGTERM), 0, worker.output[-5:])
            self.fleet.worker(role, "document", f"document-{queue}-queue")
        answer = finish_batch(self, batch)
        self.assertEqual((answer["completed"], answer["failed"]), (200, 0))

    def silent_document(self, **settings):
        """An IO worker that fetches from an HTTP server which never answers: (worker, connection)."""
        worker = self.fleet.worker("io-activity-worker", "document", "document-io-activity-queue", **settings)
        flow = self.fleet.worker("workflow-worker", "document", "document-workflow-queue")
        for process in (worker, flow):
            ready(process)
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        batch = start_batch(self.fleet.target, "documents", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        self.addCleanup(batch.communicate)
        self.addCleanup(batch.kill)
        silent.settimeout(20)
        connection, _ = silent.accept()
        self.addCleanup(connection.close)
        return worker

    def test_activity_that_takes_too_long_is_handed_back(self):
        """At the end of the shutdown time the attempt is given back to be tried again, and the exit is clean."""
        worker = self.silent_document(shutdown_timeout="3s")
        began = time.monotonic()
        self.assertEqual(worker.stop(signal.SIGTERM), 0, worker.output[-5:])
        self.assertLess(time.monotonic() - began, 4.5)
        workflow = flotilla(self.fleet.target, "list")[1].splitlines()[1].split()[1]
        self.assertIn("WorkerShutdown", flotilla(self.fleet.target, "describe", workflow)[1])

    def test_second_signal_ends_at_once(self):
        """A worker that waits for an activity goes at the second signal, with a code that says so."""
        worker = self.silent_document()
        worker.child.send_signal(signal.SIGTERM)
        worker.said("drain")
        began = time.monotonic()
        code = worker.stop(signal.SIGTERM)
        self.assertLess(time.monotonic() - began, 2)
        self.assertNotEqual(code, 0)
        self.fleet.processes.remove(worker)


if __name__ == "__main__":
    unittest.main()
