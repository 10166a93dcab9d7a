#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--check, --burst and --watch, for the three roles."""
import json
import os
import pathlib
import shutil
import signal
import socket
import unittest

from support import BIN, FleetTest, Process, flotilla, free_port, ready, run, wait_for

LIFECYCLE = BIN.parent / "tests/modules/lifecycle.so"
HANG = BIN.parent / "tests/modules/hang.so"
ECHO = BIN.parent / "modules/echo.so"
ROLES = ["workflow-worker", "io-activity-worker", "cpu-activity-worker"]


class Modes(FleetTest):
    def setUp(self):
        super().setUp()
        self.engine = self.start_server()
        self.folder = pathlib.Path(self.fleet.folder.name)

    def config(self, module=ECHO, queue="q", **settings):
        """(file, arguments)"""
        path = self.folder / f"{queue}-{len(list(self.folder.glob('*.yaml')))}.yaml"
        path.write_text(f"server: {{address: \"{self.fleet.target}\"}}\ntask_queue: {queue}\nmodules: [{{path: {module}, unchecked: true}}]\n"
                        "health: {port: 0}\nmetrics: {port: 0}\n")
        return ["--config", path, *(x for k, v in settings.items() for x in ("--set", f"{k.replace('__', '.')}={v}"))]

    def start_naps(self, workflow, naps):
        code, _, err = flotilla(self.fleet.target, "start", "--workflow-id", workflow, "--type", "NapsWorkflow",
                                "--task-queue", "flows", "--input", json.dumps({"queue": "work", "naps": naps}))
        self.assertEqual(code, 0, err)

    # ---- --check

    def test_check_good(self):
        for role in ROLES:
            code, out, err = run(role, "--check", *self.config())
            self.assertEqual((code, err), (0, ""))
            for word in (self.fleet.target, "task queue   q", "EchoWorkflow" if role == ROLES[0] else "echo",
                         "namespace    default", "slots", str(ECHO)):
                self.assertIn(word, out)

    def test_check_says_how_activities_would_run(self):
        for role, isolation, text in ((ROLES[1], "thread", "10 threads"), (ROLES[1], "process", "10 processes"),
                                      (ROLES[2], "thread", "threads, one a core"), (ROLES[2], "process", "processes, one a core")):
            out = run(role, "--check", *self.config(executor__isolation=isolation))[1]
            self.assertIn(f"executor     {text}", out)
        self.assertIn("local        7 activities at once",
                      run(ROLES[0], "--check", *self.config(max_concurrent_local_activities=7))[1])

    def refused(self, code, text, *args):
        got, out, err = run("io-activity-worker", "--check", *args)
        self.assertEqual((got, out), (code, ""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertIn(text, err)

    def test_check_refusals(self):
        """One line on stderr, and the exit code says what kind of trouble it is."""
        self.refused(78, "no namespace \"nope\"", *self.config(server__namespace="nope"))
        self.refused(78, "max_concurrent_activities", *self.config(max_concurrent_activities=0))
        self.refused(78, str(self.folder / "none.so"), *self.config(module=self.folder / "none.so"))
        (self.folder / "bad.so").write_text("no ELF file")
        self.refused(78, "bad.so", *self.config(module=self.folder / "bad.so"))
        self.refused(69, "127.0.0.1:1", *self.config(server__address="127.0.0.1:1"))

    def test_check_of_a_silent_server(self):
        """A port that takes connections and says nothing: the check does not wait for ever."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            self.refused(69, "within 5 s", *self.config(server__address="127.0.0.1:%d" % silent.getsockname()[1]))

    # ---- --burst

    def burst(self, role, queue, module=LIFECYCLE, **settings):
        return self.fleet.start(role, [BIN / role, "--burst", *self.config(module, queue, **settings)])

    def test_burst_of_nothing(self):
        for process in [self.burst(role, "q") for role in ROLES]:
            process.said("the queues are empty")
            self.assertEqual(process.child.wait(20), 0)

    def test_burst_does_all_that_waits(self):
        """Workflows first: that worker goes on while its activities run, and ends after them."""
        for i in range(10):
            self.start_naps(f"naps-{i}", [50, 100])
        workers = [self.burst("workflow-worker", "flows"), self.burst("cpu-activity-worker", "work", executor__workers=2)]
        for worker in workers:
            self.assertEqual(worker.child.wait(30), 0, worker.output[-5:])
        for i in range(10):
            self.assertEqual(flotilla(self.fleet.target, "result", f"naps-{i}")[0], 0)
        self.assertIn('"completed":20', workers[1].said("worker.stopped"))

    def test_burst_waits_for_an_activity(self):
        """Also for the first of a workflow, which takes longer than a worker is idle before it asks for more work."""
        self.start_naps("slow", [2500])
        workers = [self.burst("workflow-worker", "flows"), self.burst("io-activity-worker", "work")]
        for worker in workers:
            self.assertEqual(worker.child.wait(30), 0, worker.output[-5:])
        self.assertIn("Completed", flotilla(self.fleet.target, "describe", "slow")[1])

    def test_burst_leaves_what_waits_for_others(self):
        """A run that waits for a signal keeps nobody."""
        flotilla(self.fleet.target, "start", "--workflow-id", "s", "--type", "SignalWorkflow", "--task-queue", "flows")
        worker = self.burst("workflow-worker", "flows")
        self.assertEqual(worker.child.wait(20), 0)
        flotilla(self.fleet.target, "signal", "s", "--name", "go")
        worker = self.burst("workflow-worker", "flows")
        self.assertEqual(worker.child.wait(20), 0)
        self.assertEqual(flotilla(self.fleet.target, "result", "s")[0], 0)

    # ---- --watch

    def watched(self, role, module):
        """A worker with --watch on a copy of module: (process, the copy)."""
        copy = self.folder / "watched.so"
        shutil.copy(module, copy)
        return self.fleet.start(role, [BIN / role, "--watch", *self.config(copy, "work")]), copy

    def replace(self, copy, module):
        fresh = copy.with_suffix(".new")
        shutil.copy(module, fresh) if isinstance(module, pathlib.Path) else fresh.write_text(module)
        fresh.rename(copy)

    def count(self, process, text):
        return sum(text in line for line in process.output)

    def test_watch_each_role(self):
        """A new module: the worker starts over with it. A broken one: it goes on, and the next good one is taken."""
        for role in ROLES:
            process, copy = self.watched(role, ECHO)
            process.said("Worker started")
            self.replace(copy, "broken")
            process.said("watch.broken")
            self.assertEqual(self.count(process, "worker.stopped"), 0)
            self.replace(copy, LIFECYCLE)
            process.said("watch.changed")
            wait_for(lambda: self.count(process, "Worker started") == 2, "the new one")
            self.assertIn("NapsWorkflow" if role == ROLES[0] else "nap",
                          [line for line in process.output if "Worker started" in line][1])
            self.assertEqual(process.stop(signal.SIGTERM), 0, process.output[-5:])

    def test_watch_of_a_module_that_hangs(self):
        """It does not keep the watch from ending when told to."""
        process, copy = self.watched("io-activity-worker", ECHO)
        process.said("Worker started")
        self.replace(copy, HANG)
        children = pathlib.Path(f"/proc/{process.child.pid}/task/{process.child.pid}/children")
        wait_for(lambda: len(children.read_text().split()) == 2, "the process that tries the module")
        self.assertEqual(process.stop(signal.SIGTERM, timeout=15), 0, process.output[-5:])
        process.said("trying the modules: given up")

    def test_watch_drains_first(self):
        flows = self.fleet.worker("workflow-worker", str(LIFECYCLE), "flows")
        process, copy = self.watched("io-activity-worker", LIFECYCLE)
        process.said("Worker started")
        ready(flows)
        self.start_naps("long", [1500])
        wait_for(lambda: "ACTIVITY_TASK_SCHEDULED" in flotilla(self.fleet.target, "history", "long")[1], "the nap")
        wait_for(lambda: "pendingActivities" in flotilla(self.fleet.target, "describe", "long", "--output", "json")[1]
                 and "STARTED" in flotilla(self.fleet.target, "describe", "long", "--output", "json")[1], "its start")
        self.replace(copy, LIFECYCLE)
        code, out, _ = flotilla(self.fleet.target, "result", "long")
        self.assertEqual((code, out.split()[-1]), (0, "1"))
        self.assertIn('"completed":1', process.said("worker.stopped"))
        wait_for(lambda: self.count(process, "Worker started") == 2, "the new one")

    def test_watch_outlives_a_worker_that_cannot_start(self):
        """Whatever ends the worker, a change brings it back; here a port that is taken."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            args = self.config(ECHO, "work", health__port=taken.getsockname()[1])
            process = self.fleet.start("io-activity-worker", [BIN / "io-activity-worker", "--watch", *args])
            self.assertIn('"exit_code":73', process.said("watch.ended"))
        yaml = args[1]
        yaml.write_text(yaml.read_text() + "# again\n")
        process.said("Worker started")

    def test_watch_of_a_folder(self):
        folder = self.folder / "more" / "below"
        folder.mkdir(parents=True)
        process = self.fleet.start("io-activity-worker", [BIN / "io-activity-worker", "--watch", folder.parent,
                                                          *self.config(ECHO, "work")])
        process.said("Worker started")
        (folder / "data.txt").write_text("x")
        self.assertIn("data.txt", process.said("watch.changed"))
        wait_for(lambda: self.count(process, "Worker started") == 2, "the new start")


if __name__ == "__main__":
    unittest.main()
