#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An input that kills its executor three times is parked, on every worker of the machine, until somebody lifts it.

The activity is failure_testing of the module loadtest, whose every attempt crashes; each input is counted apart."""
import json
import os
import pathlib
import signal
import unittest

from support import FleetTest, flotilla, get, ready, run, wait_for

CRASH = {"failure_rate": 1, "kinds": "crash", "attempts": 10, "retry_ms": 1, "delay_ms": 0, "timeout_ms": 20000}


class Quarantine(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        self.dir = pathlib.Path(self.fleet.folder.name, "state/quarantine")
        self.workers = []
        ready(self.fleet.worker("workflow-worker", "loadtest", "q"))

    def cpu_worker(self, **settings):
        worker = self.fleet.worker("cpu-activity-worker", "loadtest", "q-cpu", executor__workers=1,
                                   max_concurrent_activities=1, executor__pin="false", **settings)
        ready(worker)
        self.workers.append(worker)
        return worker

    def start(self, workflow, **parameters):
        code, _, err = flotilla(self.fleet.target, "start", "--type", "failure_testing", "--task-queue", "q",
                                "--workflow-id", workflow, "--input", json.dumps({**CRASH, **parameters}))
        self.assertEqual(code, 0, err)

    def result(self, workflow):
        code, out, err = flotilla(self.fleet.target, "result", workflow)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def error(self, workflow, **parameters):
        self.start(workflow, **parameters)
        return self.result(workflow)["error"]

    def quarantine(self, *args, code=0):
        got, out, err = run("flotilla", "quarantine", *args, "--quarantine-dir", self.dir, "--address", self.fleet.target)
        self.assertEqual(got, code, err)
        return out if code == 0 else err

    def parked(self):
        return json.loads(self.quarantine("list", "--output", "json"))["inputs"]

    def metric(self, worker, name):
        page = get(worker.address("http"), "/metrics")[1]
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))

    def crashes(self):
        return sum(self.metric(worker, "flotilla_activity_crashed_total") for worker in self.workers)

    def test_parked_on_all_workers_until_lifted(self):
        first, second = self.cpu_worker(), self.cpu_worker()
        error = self.error("w1")
        self.assertEqual(error["type"], "PoisonTask")
        self.assertIn("killed its executor 3 times (last: signal 11 (SIGSEGV))", error["message"])
        self.assertEqual(self.crashes(), 3)
        entry, = self.parked()
        self.assertEqual((entry["crashes"], entry["activityType"], entry["state"]), (3, "failure_testing", "parked"))

        # Both know of it, whichever parked it, and none runs it again.
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 1, "the worker knows of it")
        for i in range(6):
            self.assertEqual(self.error(f"again-{i}")["type"], "PoisonTask")
        self.assertEqual(self.crashes(), 3)
        for name, count in [("refused", 6), ("parked", 1)]:  # on pages that may be a second old
            wait_for(lambda: sum(self.metric(w, f"flotilla_quarantine_{name}_total") for w in self.workers) == count,
                     f"{count} {name}")  # noqa: B023
        # Another input of the same activity is run.
        self.start("other", failure_rate=0)
        self.assertEqual(self.result("other")["status"], "completed")

        shown = self.quarantine("show", entry["id"][:12])
        for text in ["parked since", "SIGSEGV", '"failure_rate": 1', "workflow w1 (failure_testing)", "refused",
                     "workflow again-5"]:
            self.assertIn(text, shown)
        self.assertIn("failure_testing", self.quarantine("list"))
        path = self.dir / f"{entry['id']}.json"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

        # Lifted, it runs, and is parked again after three more.
        lifted = json.loads(self.quarantine("retry", entry["id"][:12], "--output", "json"))
        command = next(c for c in lifted["commands"] if "--workflow-id w1 " in c)
        self.assertIn("--type failure_testing --task-queue q --input '{", command)
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 0, "the worker knows that it is lifted")
        self.assertEqual(self.error("lifted")["type"], "PoisonTask")
        self.assertEqual(self.crashes(), 6)

        self.quarantine("drop", entry["id"][:8])
        self.assertEqual(self.parked(), [])
        self.assertFalse(path.exists())
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 0, "the worker forgets it")
        self.assertEqual({first.child.poll(), second.child.poll()}, {None})

    def test_counts_survive_a_restart_and_the_workers_own_death_is_none(self):
        worker = self.cpu_worker()
        self.start("crashing", attempts=2)
        self.assertEqual(self.result("crashing")["error"]["type"], "ApplicationCrash")
        self.assertEqual(self.parked(), [])
        # An attempt that goes down with the worker is not counted: no third crash.
        self.start("held", kinds="timeout", queue="q-cpu", timeout_ms=3000, attempts=2)
        wait_for(lambda: self.metric(worker, "temporal_worker_task_slots_used") == 1, "the attempt runs")
        os.kill(worker.child.pid, signal.SIGKILL)
        worker.child.wait(20)
        self.fleet.processes.remove(worker)
        self.workers.remove(worker)
        worker = self.cpu_worker()
        entries = json.loads(self.quarantine("list", "--all", "--output", "json"))["inputs"]
        self.assertEqual([(e["crashes"], e["state"]) for e in entries], [(2, "counting")])
        # The third one parks, though another process counted the first two.
        self.assertEqual(self.error("third", attempts=2)["type"], "PoisonTask")
        self.assertEqual(self.crashes(), 1)

    def test_a_folder_that_is_removed_and_made_again(self):
        for _ in range(2):
            self.cpu_worker(server__long_poll_timeout="3s", quarantine__crashes=1)
        self.assertEqual(self.error("w")["type"], "PoisonTask")
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 1, "the worker knows of it")
        self.dir.rename(self.dir.with_name("old"))
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 0, "nothing is parked any more")
        self.assertEqual(self.error("again")["type"], "PoisonTask")
        self.assertEqual(self.crashes(), 2)
        for worker in self.workers:
            wait_for(lambda: self.metric(worker, "flotilla_quarantine_inputs") == 1, "both know of the new one")

    def test_no_folder_counts_in_memory(self):
        worker = self.cpu_worker(quarantine__directory="/dev/null/x")
        error = self.error("w")
        self.assertEqual(error["type"], "PoisonTask")
        self.assertIn("in the memory of worker", error["message"])
        self.assertEqual(self.error("w2")["type"], "PoisonTask")
        self.assertEqual(self.crashes(), 3)
        self.assertEqual(sum("quarantine.in_memory" in line for line in worker.output), 1)

    def test_off_and_only_the_hash(self):
        worker = self.cpu_worker(quarantine__crashes=0)
        self.assertEqual(self.error("off", attempts=4)["type"], "ApplicationCrash")
        self.assertEqual(self.crashes(), 4)
        self.assertEqual(worker.stop(), 0)
        self.workers.clear()
        self.cpu_worker(quarantine__crashes=1, quarantine__keep_input="false")
        self.assertEqual(self.error("one")["type"], "PoisonTask")
        entry, = self.parked()
        self.assertNotIn("input", entry)
        self.assertGreater(entry["inputBytes"], 20)
        self.assertIn("not kept", self.quarantine("show", entry["id"]))

    def test_what_is_asked_wrongly(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        damaged = "ab" * 32
        (self.dir / f"{damaged}.json").write_text('{"version": 1, "id": "\x1b]0;x"}')
        self.assertIn("nothing is parked", self.quarantine("list"))
        self.assertEqual(json.loads(self.quarantine("list", "--output", "json"))["damaged"][0]["id"], damaged)
        self.assertIn("did you mean show", self.quarantine("shwo", code=64))
        self.assertIn("needs the id", self.quarantine("retry", code=64))
        self.assertIn("is no id", self.quarantine("show", "../../etc", code=64))
        self.assertIn("no input 0000", self.quarantine("show", "0000", code=1))
        self.assertIn("damaged", self.quarantine("show", "abab", code=65))
        self.quarantine("drop", "abab")
        self.assertEqual(list(self.dir.glob("*.json")), [])


if __name__ == "__main__":
    unittest.main()
