#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signals, queries and updates of C workflows, with real workers and the command line, on the engine."""
import json
import pathlib
import signal
import subprocess
import unittest

from support import BIN, FleetTest, flotilla, free_port, ready

MODULE = BIN.parent / "tests/modules/messages.so"


class Client(FleetTest):
    """A C worker, and the command line as its client."""

    def worker(self, **settings):
        worker = self.fleet.worker("workflow-worker", str(MODULE), "messages", **settings)
        ready(worker)
        return worker

    def cli(self, *args, fails=None):
        code, out, err = flotilla(self.fleet.target, *args)
        if fails:
            self.assertNotEqual(code, 0, f"{args}: {out}")
            self.assertIn(fails, err)
        else:
            self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def begin(self, type_, value=None):
        self.cli("start", "--type", type_, "-t", "messages", "-w", type_, "-i", json.dumps(value))

    def query(self, name, id_="Cart"):
        return json.loads(self.cli("query", id_, name))

    def update(self, name, value, id_="Cart", **expect):
        out = self.cli("update", id_, name, "-i", json.dumps(value), *expect.pop("args", []), **expect)
        return out if expect else json.loads(out)

    def replays(self, id_):
        """Its history matches the code, as a file and with each task replayed."""
        file = pathlib.Path(self.fleet.folder.name, f"{id_}.json")
        file.write_text(self.cli("history", id_, "-o", "json"))
        done = subprocess.run([BIN / "flotilla", "replay", file, "-m", MODULE], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def events(self, id_):
        return [e["eventType"].removeprefix("EVENT_TYPE_")
                for e in json.loads(self.cli("history", id_, "-o", "json"))["events"]]


class Messages(Client):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def steer(self):
        self.begin("Cart", ["a"])
        self.cli("signal", "Cart", "--name", "add", "-i", '"b"')
        self.cli("signal", "Cart", "--name", "other", "-i", "17")
        cart = self.query("cart")
        self.assertEqual((cart["items"], cart["signals"]), (["a", "b"], [["other", [17]]]))
        self.assertIsNone(self.update("set_address", "Elm Street"))
        self.assertEqual(self.update("set_address", "Oak Street"), "Elm Street")
        before = self.events("Cart")
        self.update("set_address", 17, fails="the update was rejected: that is no address")
        self.update("other", 1, fails="was rejected: unknown update other. KnownUpdates=[pay set_address take_time]")
        self.assertEqual(self.events("Cart"), before, "a rejected update left events")
        self.cli("query", "Cart", "nap", fails="may only look, but it starts a timer at messages.c:")
        self.cli("query", "Cart", "other", fails="unknown queryType other.")
        self.assertIn("main at messages.c:", self.cli("stack", "Cart"))
        self.assertEqual(self.query("__temporal_workflow_metadata")["definition"]["type"], "Cart")

    def end(self):
        self.assertEqual(self.update("pay", None), 2)
        self.assertEqual(json.loads(self.cli("result", "Cart")), ["a", "b"])
        self.assertTrue(self.query("cart")["paid"])
        names = self.events("Cart")
        self.assertEqual(names.count("WORKFLOW_EXECUTION_UPDATE_COMPLETED"), 3)
        self.assertNotIn("WORKFLOW_TASK_FAILED", names)
        self.replays("Cart")

    def test_steered(self):
        self.worker()
        self.steer()
        self.end()

    def test_steered_without_a_cache(self):
        self.worker(sticky_cache__max_entries=0)
        self.steer()
        self.end()

    def test_next_worker_knows_all_of_it(self):
        worker = self.worker(sticky_cache__schedule_to_start_timeout="300ms")
        self.steer()
        worker.stop(signal.SIGKILL)
        self.fleet.processes.remove(worker)
        self.worker()
        self.assertEqual(self.query("cart")["address"], "Oak Street")
        self.end()

    def test_handler_that_is_cut_off_is_told_of(self):
        worker = self.worker()
        self.begin("Plain")
        self.update("any", 1, id_="Plain", fails="unknown update any. KnownUpdates=[]")
        self.cli("signal", "Plain", "--name", "end", "-i", '"so"')
        self.assertEqual(json.loads(self.cli("result", "Plain")), "so")
        self.replays("Plain")
        self.begin("Hasty")
        self.cli("update", "Hasty", "take_time", "-i", '["ok", 60000]', "--wait-for-stage", "accepted", "--update-id", "late")
        self.cli("signal", "Hasty", "--name", "end", "-i", "1")
        self.assertEqual(json.loads(self.cli("result", "Hasty")), 1)
        worker.said("update take_time (id late)")


class Waits(Client):
    """Commands that wait for a workflow say why."""

    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def start(self, name, *args):
        return self.fleet.start(name, [BIN / "flotilla", *args, "--address", self.fleet.target])

    def test_they_say_why(self):
        """An unknown type and a queue that nobody polls: said once, by start, result and update."""
        self.worker()
        self.begin("Cart", ["a"])
        self.cli("start", "--type", "T", "-t", "desert", "-w", "lonely")
        failing = self.start("start", "start", "--type", "Nosuch", "-t", "messages", "-w", "nosuch", "--wait")
        waiting = {name: self.start(name, *args) for name, args in {
            "result": ("result", "lonely"), "update": ("update", "lonely", "go")}.items()}
        healthy = self.start("healthy", "result", "Cart")
        failing.said("still waiting: Its workflow task fails again and again")
        for process in waiting.values():
            process.said("still waiting: Its workflow task waits for a worker on queue desert since ")
        healthy.said("still waiting: Nothing is pending: it waits for a signal or an update from outside")
        self.cli("terminate", "nosuch")
        self.cli("terminate", "lonely")
        self.cli("terminate", "Cart")
        for process in (failing, healthy, *waiting.values()):
            self.fleet.processes.remove(process)  # its exit code is no fleet's
            self.assertEqual(process.child.wait(60), 1)
            process.reader.join(20)
            process.child.stdout.close()
            self.assertEqual("\n".join(process.output).count("still waiting"), 1, process.output)

    def test_stack_of_a_closed_run(self):
        self.worker()
        self.begin("Plain")
        self.cli("signal", "Plain", "end", "-i", "1")
        self.cli("result", "Plain")
        code, out, err = flotilla(self.fleet.target, "stack", "Plain")
        self.assertEqual((code, out), (0, ""))
        self.assertIn("flotilla: it is closed, none of its code waits: It completed at ", err)


class EngineKilled(Client):
    """kill -9 of the engine between the acceptance of an update and its outcome."""

    def serve(self):
        engine = self.fleet.start("flotilla-engine", [BIN / "flotilla-engine", "--listen", self.fleet.target, "--db",
                                                      pathlib.Path(self.fleet.folder.name, "engine.db")])
        engine.address("grpc")
        return engine

    def kill(self, engine):
        engine.stop(signal.SIGKILL)
        self.fleet.processes.remove(engine)

    def test_accepted_update_outlives_it(self):
        self.fleet.target = f"127.0.0.1:{free_port()}"
        engine = self.serve()
        self.worker()
        self.begin("Hasty")
        for i in range(3):
            send = ["Hasty", "take_time", "-i", '["ok", 1000]', "--update-id", f"u{i}"]
            self.cli("update", *send, "--wait-for-stage", "accepted")
            self.kill(engine)  # what was answered is on disk
            engine = self.serve()
            self.assertEqual(self.events("Hasty").count("WORKFLOW_EXECUTION_UPDATE_ACCEPTED"), i + 1)
            self.assertEqual(json.loads(self.cli("update", *send)), f"u{i}")
        self.kill(engine)
        self.serve()
        self.assertEqual(json.loads(self.cli("update", *send)), "u2", "an outcome is on disk, too")
        self.cli("signal", "Hasty", "--name", "end", "-i", "1")
        self.assertEqual(json.loads(self.cli("result", "Hasty")), 1)
        names = self.events("Hasty")
        self.assertEqual([names.count(f"WORKFLOW_EXECUTION_UPDATE_{end}") for end in ("ACCEPTED", "COMPLETED")], [3, 3])
        self.replays("Hasty")


if __name__ == "__main__":
    unittest.main()
