#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`flotilla load` and the workflows that it measures: right results, counted errors, an open loop."""
import json
import pathlib
import signal
import time
import unittest

from support import BIN, FleetTest, finish_batch, flotilla, ready, run, start_batch


class Load(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        for worker in [self.fleet.worker("workflow-worker", "echo loadtest", "benchmark"),
                       self.fleet.worker("io-activity-worker", "echo", "benchmark")]:
            ready(worker)

    def load(self, *args):
        return finish_batch(self, start_batch(self.fleet.target, "load", *args))

    def test_chain_and_fan_give_their_sums(self):
        for workflow, n, total in [("ChainWorkflow", 10, 45), ("FanWorkflow", 50, 1225)]:
            report = self.load("--type", workflow, "--input", json.dumps({"n": n}), "--expect", total, "--count", 5,
                               "--concurrency", 3)
            self.assertEqual((report["completed"], report["errors"]), (5, {}), workflow)

    def test_timers_fire(self):
        report = self.load("--type", "TimerWorkflow", "--input", '{"n": 100, "ms": 50}', "--expect", 100, "--count", 2)
        self.assertEqual(report["completed"], 2)
        self.assertGreaterEqual(report["p50Ms"], 50)

    def test_signals_are_counted(self):
        code, _, err = flotilla(self.fleet.target, "start", "--type", "SignalWorkflow", "--task-queue", "benchmark",
                                "--workflow-id", "signals", "--input", '{"n": 3}')
        self.assertEqual(code, 0, err)
        for _ in range(3):
            code, _, err = flotilla(self.fleet.target, "signal", "signals", "--name", "ping")
            self.assertEqual(code, 0, err)
        code, out, err = flotilla(self.fleet.target, "result", "signals")
        self.assertEqual((code, out.strip()), (0, "3"), err)

    def test_signals_are_sent_one_after_the_other(self):
        report = self.load("--type", "SignalWorkflow", "--input", '{"n": 20}', "--expect", 20, "--signals", 20,
                           "--count", 6, "--concurrency", 2)
        self.assertEqual((report["completed"], report["errors"]), (6, {}))

    def test_signals_to_a_workflow_that_has_ended_do_not_hide_how_it_did(self):
        report = self.load("--type", "SignalWorkflow", "--input", '{"n": 1}', "--expect", 1, "--signals", 200,
                           "--count", 2)
        self.assertEqual((report["completed"], report["errors"]), (2, {}))

    def test_signals_of_another_name(self):
        code, out, err = run("flotilla", "load", "--address", self.fleet.target, "--output", "json", "--count", 1,
                             "--type", "SignalWorkflow", "--input", '{"n": 1}', "--signals", 1, "--name", "other",
                             "--timeout", "300ms")
        self.assertEqual(code, 1, err)
        self.assertEqual(json.loads(out)["errors"], {"not finished in time": 1})

    def test_payload_of_64_kib_comes_back(self):
        report = self.load("--input-bytes", 65536, "--count", 20)
        self.assertEqual((report["completed"], report["failed"]), (20, 0))
        path = pathlib.Path(self.fleet.folder.name, "payload.json")
        path.write_text(json.dumps("x" * 65536))
        report = self.load("--input-file", path, "--count", 20)
        self.assertEqual((report["completed"], report["failed"]), (20, 0))

    def test_rate_is_kept(self):
        """20 starts at 40 a second: the last is due after 475 ms, however fast the others ended."""
        begin = time.monotonic()
        report = self.load("--rate", 40, "--count", 20)
        self.assertGreaterEqual(time.monotonic() - begin, 0.475)
        self.assertEqual(report["completed"], 20)
        self.assertGreaterEqual(report["maxMs"], report["p99Ms"])
        self.assertGreaterEqual(report["p99Ms"], report["p50Ms"])

    def test_late_starts_count_as_waiting(self):
        """A thousand starts that are all due within a millisecond wait for each other, and the latency says so."""
        report = self.load("--rate", 1000000, "--count", 1000)
        self.assertEqual(report["completed"], 1000)
        self.assertGreater(report["maxMs"], report["seconds"] * 1000 * 0.9)

    def test_wrong_results_and_failures_are_counted_by_kind(self):
        for args, kind in [(("--input", "5", "--expect", "6"), "wrong result"),
                           (("--type", "ChainWorkflow", "--input", '{"n": 0}'), "failed")]:
            code, out, err = run("flotilla", "load", "--address", self.fleet.target, "--output", "json", "--count", 4,
                                 *args)
            self.assertEqual(code, 1, err)
            report = json.loads(out)
            self.assertEqual((report["completed"], report["failed"], report["errors"]), (0, 4, {kind: 4}))
            self.assertIn("first failure", err)

    def test_what_does_not_end_in_time_is_counted(self):
        code, out, err = run("flotilla", "load", "--address", self.fleet.target, "--output", "json", "--count", 2,
                             "--type", "SignalWorkflow", "--input", '{"n": 1}', "--timeout", "300ms")
        self.assertEqual(code, 1, err)
        self.assertEqual(json.loads(out)["errors"], {"not finished in time": 2})

    def test_each_gives_its_workflows_the_input(self):
        code, _, err = flotilla(self.fleet.target, "load", "--count", 3, "--each", "start",
                           "--input-bytes", 1000, "--id-prefix", "each")
        self.assertEqual(code, 0, err)
        code, out, err = flotilla(self.fleet.target, "result", "each-2")
        self.assertEqual((code, json.loads(out)), (0, "x" * 1000), err)

    def test_wrong_options_are_refused(self):
        for args in [("--rate", 0), ("--rate", 5, "--concurrency", 2), ("--expect", "{"),
                     ("--input-bytes", 5, "--input", "5"), ("--input-bytes", 3000000), ("--signals", "-1"),
                     ("--each", "all"), ("--each", "start", "--rate", 5), ("--each", "start", "--expect", "5"),
                     ("--each", "start", "--signals", 5), ("--progress-every", "0s")]:
            code, _, err = run("flotilla", "load", "--address", self.fleet.target, *args)
            self.assertEqual(code, 64, args)
            self.assertIn("flotilla load:", err)


class Waiting(FleetTest):
    """What is said while nothing ends."""

    def start_load(self, *args):
        return self.fleet.start("load", [BIN / "flotilla", "load", "--address", self.fleet.target, "--progress-every",
                                         "200ms", *map(str, args)])

    def end_of(self, load):
        self.fleet.processes.remove(load)  # its exit code is no fleet's
        code = load.child.wait(60)
        load.reader.join(20)
        load.child.stdout.close()
        return code, "\n".join(load.output)

    def test_queues_that_no_worker_polls_are_named(self):
        self.fleet.engine()
        load = self.start_load("--count", 3)
        load.said("no worker polls task queue benchmark (workflows)")
        load.said("0/3 workflows, ")
        ready(self.fleet.worker("workflow-worker", "echo", "benchmark"))
        load.said("a worker polls task queue benchmark (workflows) now")
        load.said("no worker polls task queue benchmark (activities)")
        ready(self.fleet.worker("io-activity-worker", "echo", "benchmark"))
        code, said = self.end_of(load)
        self.assertEqual(code, 0, said)
        self.assertIn("3/3 workflows, ", said)
        self.assertEqual(said.count("no worker polls"), 2, said)

    def test_a_worker_that_is_quiet(self):
        self.fleet.engine()
        worker = self.fleet.worker("workflow-worker", "loadtest", "benchmark")
        ready(worker)
        worker.child.send_signal(signal.SIGTSTP)
        worker.said("Worker quiet")
        load = self.start_load("--type", "TimerWorkflow", "--input", '{"n": 1, "ms": 1}', "--count", 3)
        load.said("no worker has polled task queue benchmark (workflows) for ")
        worker.child.send_signal(signal.SIGCONT)
        code, said = self.end_of(load)
        self.assertEqual(code, 0, said)

    def test_queues_of_tasks_are_named(self):
        self.fleet.engine()
        ready(self.fleet.worker("workflow-worker", "loadtest", "benchmark"))
        load = self.start_load("--type", "cpu_intensive", "--tasks", 1, "--timeout", "1h", "--quiet")
        load.said("no worker polls task queue benchmark-cpu (activities)")
        load.child.send_signal(signal.SIGINT)
        code, said = self.end_of(load)
        self.assertEqual(code, 130, said)
        self.assertNotIn("0/1 workflows", said)

    def test_one_workflow_that_nobody_takes(self):
        self.fleet.engine()
        start = self.fleet.start("start", [BIN / "flotilla", "start", "--address", self.fleet.target, "--type",
                                           "EchoWorkflow", "-t", "benchmark", "-i", "5", "--wait"])
        start.said("flotilla: still waiting: Its workflow task waits for a worker on queue benchmark since ")
        self.fleet.echo_workers()
        code, said = self.end_of(start)
        self.assertEqual((code, said.splitlines()[-1]), (0, "5"), said)

    def test_a_server_that_comes_back(self):
        database = f"{self.fleet.folder.name}/engine.db"
        engine = self.fleet.engine("--db", database)
        load = self.start_load("--count", 3)
        load.said("no worker polls")
        engine.stop()
        load.said(f"the server at {self.fleet.target} went away: ")
        self.fleet.start("flotilla-engine", [BIN / "flotilla-engine", "--listen", self.fleet.target, "--db", database])
        load.said(f"the server at {self.fleet.target} is back after ")
        self.fleet.echo_workers()
        code, said = self.end_of(load)
        self.assertEqual(code, 0, said)
        self.assertEqual(said.count("went away"), 1, said)

    def test_a_server_that_stays_away(self):
        engine = self.fleet.engine()
        crowd = self.start_load("--each", "start", "--count", 10**7, "--concurrency", 2, "--server-timeout", "100ms")
        load = self.start_load("--count", 3, "--server-timeout", "100ms")
        load.said("no worker polls")
        crowd.said("/10000000 calls, ")
        engine.stop()
        for process, report in [(load, "not completed: 3 not heard of any more"), (crowd, " calls in ")]:
            code, said = self.end_of(process)
            self.assertEqual(code, 69, said)
            self.assertIn("giving up", said)
            self.assertIn(report, said)


if __name__ == "__main__":
    unittest.main()
