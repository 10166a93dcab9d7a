#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`flotilla load --type io_simulation` and its kin: what the tasks do, what is right, what is refused before a start."""
import json
import os
import pty
import signal
import subprocess
import unittest

from support import BIN, FleetTest, flotilla, free_port, ready, run, wait_for

SMALL = {"io_simulation": ["operations=4", "delay_ms=5", "bytes=70000"],
         "cpu_intensive": ["fibonacci=15", "primes=10000", "sort=2000", "hash=5000"],
         "memory_operations": ["bytes=1000003", "chunks=7"],
         "failure_testing": ["failure_rate=0.4", "retry_ms=1", "timeout_ms=200"]}


class Refused(unittest.TestCase):
    """Nobody listens at the address: what is wrong is said before anything is started."""

    def refused(self, *args, needles):
        code, out, err = run("flotilla", "load", "--address", f"127.0.0.1:{free_port()}", *args)
        self.assertEqual((code, out), (64, ""), err)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        for needle in needles:
            self.assertIn(needle, err)

    def test_types(self):
        self.refused("--type", "io_simulaton", "--tasks", 10,
                     needles=["unknown task type 'io_simulaton'", "did you mean io_simulation?", "memory_operations"])
        self.refused("--type", "io_simulatoin",
                     needles=["unknown task type", "did you mean io_simulation?", "a workflow type, with --count"])
        self.refused("--type", "io_simulatoin,cpu_intensive", needles=["did you mean io_simulation?"])
        self.refused("--type", "io_simulation,", "--tasks", 1, needles=["unknown task type ''"])
        self.refused("--tasks", 10, needles=["need a task type", "io_simulation"])
        self.refused("--type", "io_simulation,nothing", needles=["unknown task type 'nothing'"])

    def test_parameters(self):
        io = ["--type", "io_simulation", "--param"]
        self.refused(*io, "delay=5", needles=["has no parameter 'delay'", "did you mean delay_ms?", "operations"])
        self.refused(*io, "delay_ms", needles=["NAME=VALUE"])
        self.refused(*io, "delay_ms=fast", needles=["delay_ms is a whole number"])
        self.refused(*io, "concurrent=0", needles=["concurrent is a whole number from 1 to 256"])
        self.refused(*io, "io=disk", needles=["mixed|wait|file|socket"])
        self.refused(*io, "index=5", needles=["has no parameter 'index'"])
        self.refused("--type", "failure_testing", "-p", "kinds=runtime_error,panic", needles=["kinds is a list"])
        self.refused("--type", "failure_testing", "-p", "failure_rate=2", needles=["from 0 to 1"])
        self.refused("--type", "io_simulation", "--input", '{"batch": 5}', needles=["has no parameter 'batch'"])
        self.refused("--type", "io_simulation", "--input", "[5]", needles=["an object of parameters"])

    def test_options(self):
        io = ["--type", "io_simulation"]
        self.refused(*io, "--tasks", 0, needles=["--tasks"])
        self.refused(*io, "--tasks", 100000001, needles=["--tasks is a whole number from 1 to 100000000"])
        self.refused("--count", 10**18, needles=["--count is a whole number from 1 to 100000000"])
        self.refused(*io, "--batch-size", 1, "--delay-ms", 10**18, needles=["--delay-ms is a whole number up to"])
        self.refused(*io, "--batch-size", 5, "--concurrency", 5, needles=["--batch-size"])
        self.refused(*io, "--delay-ms", 5, needles=["--delay-ms goes with --batch-size"])
        self.refused(*io, "--signals", 5, needles=["tasks go without"])


class Tasks(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        cpu = {"executor__workers": 2, "executor__pin": "false"}
        for worker in [self.fleet.worker("workflow-worker", "loadtest", "benchmark"),
                       self.fleet.worker("io-activity-worker", "loadtest", "benchmark"),
                       self.fleet.worker("cpu-activity-worker", "loadtest", "benchmark-cpu", **cpu)]:
            ready(worker)

    def load(self, *args, code=0):
        got, out, err = flotilla(self.fleet.target, "load", "--output", "json", *map(str, args))
        self.assertEqual(got, code, f"{err}\n{out}")
        return json.loads(out)

    def params(self, name):
        return [x for p in SMALL[name] for x in ("--param", p)]

    def test_each_type(self):
        for name in SMALL:
            report = self.load("--type", name, "--tasks", 12, *self.params(name))
            own, = report["types"]
            self.assertEqual((own["type"], own["tasks"], own["wrong"]), (name, 12, 0))
            self.assertEqual(own["completed"] + own["failed"], 12)
            self.assertGreaterEqual(own["p99Ms"], own["p50Ms"])
            if name != "failure_testing":
                self.assertEqual((own["completed"], own["retried"]), (12, 0))
            else:
                self.assertGreater(own["retried"], 0)

    def test_results_have_their_data(self):
        code, out, err = flotilla(self.fleet.target, "start", "--type", "io_simulation", "--task-queue", "benchmark",
                                  "--wait", "--input", '{"operations": 5, "concurrent": 2, "delay_ms": 20}')
        self.assertEqual(code, 0, err)
        result = json.loads(out)
        self.assertEqual((result["status"], result["type"], result["attempt"]), ("completed", "io_simulation", 1))
        self.assertEqual(result["checks"], {"content": True, "operations": True, "waited": True})
        self.assertEqual((result["counts"]["operations"], result["counts"]["at_once"]), (5, 2))
        self.assertGreaterEqual(result["timings"]["elapsed_ms"], 60)
        self.assertEqual(result["parameters"]["bytes"], 4096)

    def test_a_seed_gives_the_same_run(self):
        def failing(seed):
            own, = self.load("--type", "failure_testing", "--tasks", 25, "--param", "failure_rate=0.5", "--param",
                             "kinds=runtime_error,value_error,non_retryable", "--param", "retry_ms=1", "--param",
                             f"seed={seed}", "--param", "delay_ms=0")["types"]
            return own["completed"], own["failed"], own["retried"], own["errors"]
        self.assertEqual(failing(7), failing(7))
        self.assertNotEqual(failing(7), failing(8))

    def test_crashes_are_retried_on_the_cpu_worker(self):
        own, = self.load("--type", "failure_testing", "--tasks", 6, "--param", "kinds=crash,runtime_error", "--param",
                         "failure_rate=0.5", "--param", "retry_ms=1")["types"]
        self.assertEqual(own["wrong"], 0)

    def test_attempts_of_a_parked_input_are_not_guessed(self):
        own, = self.load("--type", "failure_testing", "--tasks", 1, "--param", "kinds=crash", "--param", "failure_rate=1",
                         "--param", "retry_ms=1", "--param", "attempts=9")["types"]
        self.assertEqual((own["errors"], own["failed"], own["retried"]), ({"PoisonTask": 1}, 1, 0))

    def test_more_lanes_than_tasks(self):
        own, = self.load("--type", "io_simulation", "--tasks", 1, "--concurrency", 10**15)["types"]
        self.assertEqual(own["completed"], 1)

    def test_time_runs_out(self):
        report = self.load("--type", "io_simulation", "--tasks", 2, "-p", "timeout_ms=100", "-p", "delay_ms=60000", "-p",
                           "attempts=2", "-p", "retry_ms=1", code=1)
        self.assertEqual(report["types"][0]["errors"], {"Timeout": 2})
        self.assertEqual(report["errors"], {"wrong result": 2})

    def test_all_types_take_turns_in_batches(self):
        report = self.load("--type", "all", "--tasks", 8, "--batch-size", 3, "--delay-ms", 150, "--param", "retry_ms=1")
        self.assertEqual([own["tasks"] for own in report["types"]], [2, 2, 2, 2])
        self.assertGreaterEqual(report["seconds"], 0.3)  # the third batch is due then

    def test_table(self):
        code, out, err = flotilla(self.fleet.target, "load", "--type", "io_simulation", "--tasks", "5", "--quiet")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"task type +tasks completed +failed +retried +wrong +tasks/s +p50 ms")
        self.assertRegex(out, r"io_simulation +5 +5 +0 +0 +0 ")

    def test_bar_on_a_terminal(self):
        ours, theirs = pty.openpty()
        child = subprocess.Popen([BIN / "flotilla", "load", "--address", self.fleet.target, "--type", "io_simulation",
                                  "--tasks", "5"], stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        shown = b""
        while child.poll() is None or b"5/5" not in shown:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                break  # the other end is closed
        os.close(ours)
        self.assertEqual(child.wait(20), 0)
        self.assertIn(b"[##############################] 5/5", shown)

    def test_ctrl_c_ends_with_what_was_done(self):
        child = subprocess.Popen([BIN / "flotilla", "load", "--address", self.fleet.target, "--type", "io_simulation",
                                  "--tasks", "100", "--concurrency", "2", "--param", "delay_ms=100", "--param",
                                  "operations=1", "--output", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        wait_for(lambda: "Completed" in flotilla(self.fleet.target, "list")[1], "the first task")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
        self.assertEqual(child.returncode, 130, err)
        report = json.loads(out)
        running = report["errors"].get("left running", 0)
        self.assertTrue(report["interrupted"])
        self.assertGreater(report["completed"], 0)
        self.assertEqual(report["failed"], 0)
        self.assertLessEqual(running, 2)
        self.assertEqual(report["completed"] + running + report["notStarted"], 100)


if __name__ == "__main__":
    unittest.main()
