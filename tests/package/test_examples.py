#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples, built against the installed package by consumer.cmake, run on the engine: both workers of each, and
the calls that its README shows.

usage: test_examples.py BIN BUILT (the build's bin folder; the folder with build-NAME/NAME of each example)"""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from fleet import Fleet  # noqa: E402

BIN, BUILT = (pathlib.Path(arg).absolute() for arg in sys.argv[1:3])


class Examples(unittest.TestCase):
    def setUp(self):
        self.fleet = Fleet(BIN)
        self.fleet.__enter__()
        self.addCleanup(lambda: self.fleet.__exit__(*sys.exc_info()))
        self.fleet.engine()

    def workers(self, name):
        for role in ("workflow", "activity"):
            self.fleet.start(f"{name} {role}", [
                BUILT / f"build-{name}" / name, role, "--set", f"server.address={self.fleet.target}",
                "--set", f"task_queue={name}", "--set", "health.port=0", "--set", "metrics.port=0"])

    def flotilla(self, command, *args, code=0):
        done = subprocess.run([BIN / "flotilla", command, "--address", self.fleet.target, *args],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def start(self, queue, kind, value, *args):
        return self.flotilla("start", "--type", kind, "--task-queue", queue, "--input", json.dumps(value), *args)

    def result(self, queue, kind, value):
        return json.loads(self.start(queue, kind, value, "--wait"))

    def test_hello(self):
        self.workers("hello")
        self.assertEqual(self.result("hello", "Hello", "Ada"), "Hello, Ada!")

    def test_saga(self):
        self.workers("saga")
        self.assertEqual(self.result("saga", "OrderSaga", {"id": "7", "amount": 20}),
                         ["reserve_stock 7", "charge_card 7", "ship 7"])
        self.start("saga", "OrderSaga", {"id": "8", "amount": 2000}, "--workflow-id", "dear")
        self.flotilla("result", "dear", code=1)
        history = self.flotilla("history", "dear")  # reserved; refunded and released
        self.assertEqual(history.count("ACTIVITY_TASK_COMPLETED"), 3, history)

    def test_approval(self):
        self.workers("approval")
        self.start("approval", "Approval", {"owner": "Ada", "amount": 120}, "--workflow-id", "trip")
        self.assertEqual(json.loads(self.flotilla("query", "trip", "status")), {"decided": False, "reminders": 0})
        own = json.dumps({"by": "Ada", "approve": True})
        self.flotilla("update", "trip", "decide", "--input", own, code=1)
        self.flotilla("update", "trip", "decide", "--input", json.dumps({"by": "Grace", "approve": True}))
        self.assertEqual(json.loads(self.flotilla("result", "trip")), "paid 120")

    def test_fanout(self):
        self.workers("fanout")
        self.assertEqual(self.result("fanout", "CountWords", ["a cup of tea"] * 25 + [7]),
                         {"words": 100, "failed": [7]})

    def test_cron(self):
        self.workers("cron")
        self.start("cron", "Watch", {"target": "!there", "every_ms": 20}, "--workflow-id", "watch")

        def status():
            return json.loads(self.flotilla("query", "watch", "status"))
        while status()["done"] < 110:  # in its second run; each query is answered by the worker
            pass
        self.flotilla("signal", "watch", "--name", "pause")
        self.flotilla("signal", "watch", "--name", "stop")
        result = json.loads(self.flotilla("result", "watch"))
        self.assertGreaterEqual(result["failed"], 110)
        self.assertEqual(result["failed"], result["done"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
