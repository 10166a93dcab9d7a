#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The connection between real workers and their supervisor: it is killed under load and comes back, it commands, and
somebody else commands in its place."""
import json
import signal
import time
import unittest
import uuid

from peers import SupervisorTest, text, wait_for
from support import BIN, Fleet, finish_batch, get, ready, start_batch


def dropped(page):
    """Reports that a worker could not send."""
    code, body = get(page, "/metrics")
    assert code == 200, (code, body)
    return sum(float(line.split()[-1]) for line in body.splitlines() if line.startswith("flotilla_reports_dropped_total"))


class Link(SupervisorTest):
    def setUp(self):
        super().setUp()
        self.fleet = Fleet(BIN)
        self.addCleanup(self.fleet.__exit__, None, None, None)

    def workers(self):
        """An engine, and both workers of the echo module, reporting to the supervisor's socket."""
        self.fleet.engine()
        endpoint = f"ipc://{self.path}/state/supervisor.sock"
        return [self.fleet.worker(role, "echo", "benchmark", supervisor__endpoint=endpoint)
                for role in ("workflow-worker", "io-activity-worker")]

    def done(self, role):
        return next((p["done"] for p in self.processes() if p["role"] == role and p["state"] == "running"), None)

    def counters(self):
        """{series: value} of the workers' counters."""
        page = self.page().splitlines()
        kinds = {line.split()[2] for line in page if line.startswith("# TYPE") and line.endswith(" counter")}
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in page
                if line.split("{")[0] in kinds and '@supervisor"' not in line}

    def test_killed_under_load(self):
        self.start()
        self.workers()
        wait_for(lambda: self.done("workflow") is not None and self.done("io-activity") is not None, "both report")
        batch = start_batch(self.fleet.target, "load", "-t", "benchmark", "--count", 1000000, "--timeout", "12s")
        self.addCleanup(batch.wait)
        self.addCleanup(batch.kill)
        wait_for(lambda: self.done("workflow") > 50, "the load runs")
        before, names = self.counters(), None
        for _ in range(2):
            done = self.done("workflow")
            self.supervisor.child.kill()
            self.supervisor.child.wait()
            pages = [w.address("metrics") for w in self.fleet.processes[1:]]
            for page in pages:  # it is away until each worker has dropped a report, and works on
                lost = dropped(page)
                wait_for(lambda: dropped(page) > lost, "a report that nobody took")  # noqa: B023
            self.start()
            back = time.monotonic()
            wait_for(lambda: set(before) <= set(self.counters()), lambda: f"{set(before) - set(self.counters())} back")
            self.assertLess(time.monotonic() - back, 20)
            after = self.counters()
            for series, value in before.items():
                self.assertGreaterEqual(after[series], value, series)
            wait_for(lambda: self.done("workflow") > done, "the workers worked on")
            before = after
        batch.terminate()

    def test_stopped_supervisor_holds_nobody_up(self):
        self.start()
        workers = self.workers()
        wait_for(lambda: self.done("workflow") is not None and self.done("io-activity") is not None, "both report")
        self.supervisor.child.send_signal(signal.SIGSTOP)
        try:
            report = finish_batch(self, start_batch(self.fleet.target, "load", "-t", "benchmark", "--count", 500))
            self.assertEqual(report["completed"], 500)
            for worker in workers:
                self.assertEqual(get(worker.address("http"), "/ready")[0], 200)
        finally:
            self.supervisor.child.send_signal(signal.SIGCONT)
        wait_for(lambda: (self.done("workflow") or 0) >= 500, "it knows everything again")

    def test_stranger_commands(self):
        """Who holds the socket's place commands; what it says wrong is refused, counted and answered."""
        endpoint = f"ipc://{self.path}/fake.sock"
        router = self.context.router(endpoint)
        self.fleet.engine()
        worker = self.fleet.worker("io-activity-worker", "echo", "benchmark", supervisor__endpoint=endpoint)
        route, first = router.receive(), json.loads(router.receive())
        boot = first["boot"]

        def answer(message):
            router.send(route, message)
            while True:
                router.receive()
                frame = json.loads(router.receive())
                if frame["type"] == "ack":
                    return frame

        command = {"v": 1, "type": "command", "boot": boot, "id": 1, "command": "drain", "args": {}}
        for i, wrong in enumerate([{"boot": str(uuid.uuid4())}, {"v": 2}, {"type": "snapshot"}, {"command": "Rm -rf"},
                                   {"args": []}, {"command": "no-such-command"}], 1):
            frame = answer(text({**command, "id": i, **wrong}))
            self.assertEqual((frame["id"], frame["ok"], frame["boot"]), (i, False, boot))
            self.assertTrue(frame["message"])
        for garbage in (b"", b"{}", b"\xff" * 20000, b"[" * 10000, text({**command, "id": -1})):
            router.send(route, garbage)
        worker.said("control.denied")
        wait_for(lambda: 'flotilla_rejects_total{reason="control"} 1' in get(worker.address("metrics"), "/metrics")[1],
                 "they are counted")
        ready(worker)
        wait_for(lambda: (router.receive(), json.loads(router.receive()))[1].get("state") == "running", "it works on")


if __name__ == "__main__":
    unittest.main()
