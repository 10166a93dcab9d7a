#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The person's commands: what they do, what they print, how they end."""
import json
import pathlib
import stat
import tempfile
import unittest

from support import FleetTest, flotilla, free_port, ready, run, unhurried

COMMANDS = ["up", "start", "result", "list", "describe", "history", "signal", "query", "stack", "update", "cancel", "terminate", "activity",
            "documents", "quarantine", "load", "top", "recommend", "keys"]


class Usage(unittest.TestCase):
    def test_help_of_every_command(self):
        code, out, err = run("flotilla", "--help")
        self.assertEqual((code, err), (0, ""))
        for command in COMMANDS:
            self.assertIn(f"  {command} ", out)
            code, text, err = run("flotilla", command, "--help")
            self.assertEqual((code, err), (0, ""), command)
            self.assertIn("usage:", text)

    def refused(self, *args, needle):
        code, out, err = run("flotilla", *args)
        self.assertEqual((code, out), (64, ""), args)
        self.assertEqual(len(err.strip().splitlines()), 1, err)
        self.assertIn(needle, err)

    def test_mistakes_are_one_line(self):
        self.refused("strat", needle="did you mean start?")
        self.refused("start", "--task-qeue", "q", needle="did you mean --task-queue?")
        self.refused("start", "--type", needle="a value is missing")
        self.refused("start", "--type", "T", needle="--task-queue")
        self.refused("start", "--type", "T", "-t", "q", "--input", "{bad", needle="not JSON")
        self.refused("start", "--type", "T", "-t", "q", "--run-timeout", "5", needle="30s")
        self.refused("start", "--type", "T", "-t", "q", "--id-reuse-policy", "Maybe", needle="Maybe")
        self.refused("list", "--limit", "many", needle="whole number")
        self.refused("list", "--output", "xml", needle="text or json")
        self.refused("signal", "w", needle="NAME")
        self.refused("signal", "w", "go", "more", needle="one NAME")
        self.refused("query", "w", needle="NAME")
        self.refused("stack", needle="WORKFLOW_ID")
        self.refused("update", "w", needle="NAME")
        self.refused("update", "w", "add", "more", needle="one NAME")
        self.refused("update", "w", "add", "--wait-for-stage", "soon", needle="accepted or completed")
        self.refused("list", "all", needle="unexpected argument")
        self.refused("load", "--count", "0", needle="--count")
        self.refused("load", "--concurrency", "0", needle="--concurrency")
        self.refused("load", "--each", "pat", needle="terminate")
        self.refused("load", "--each", "start", "--rate", "5", needle="--rate")
        self.refused("result", needle="WORKFLOW_ID")
        self.refused("activity", needle="heartbeat")
        self.refused("activity", "finish", needle="heartbeat")
        self.refused("activity", "complete", needle="token")
        self.refused("activity", "complete", "--token", "=", needle="base64")
        self.refused("activity", "complete", "--token", "AA==", "--result", "{", needle="not JSON")
        self.refused("activity", "fail", "--token", "AA==", "--result", "1", needle="--result")
        self.refused("activity", "complete", "--token", "AA==", "--reason", "done", needle="--reason is not for this")
        self.refused("activity", "cancel", "--token", "AA==", "-w", "w", needle="an id besides --token")

    def test_input_file_that_is_not_there(self):
        code, _, err = run("flotilla", "start", "--type", "T", "-t", "q", "--input-file", "/no/such/file")
        self.assertEqual(code, 66)
        self.assertIn("/no/such/file", err)

    def test_server_that_is_not_there(self):
        address = f"127.0.0.1:{free_port()}"
        for args in [["list"], ["load"], ["documents", "/etc/hostname"], ["activity", "fail", "--token", "AA=="]]:
            code, out, err = flotilla(address, *args)
            self.assertEqual((code, out), (69, ""), args)
            self.assertIn(address, err)


class Keys(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name, "keys")

    def keys(self, *args, code=0):
        done, out, err = run("flotilla", "keys", *args, "--dir", self.folder)
        self.assertEqual(done, code, err)
        return out if done == 0 else err

    def names(self):
        return [key["name"] for key in json.loads(self.keys("list", "-o", "json"))]

    def test_generate_add_list_remove(self):
        said = self.keys("generate")
        self.assertIn((self.folder / "supervisor.public").read_text().strip(), said)
        self.assertEqual(self.names(), ["cpu-activity", "io-activity", "workflow"])
        for secret in self.folder.glob("*.secret"):
            self.assertEqual(stat.S_IMODE(secret.stat().st_mode), 0o400)
        before = (self.folder / "supervisor.secret").read_text()
        self.assertIn("there already", self.keys("generate", code=73))
        self.assertEqual((self.folder / "supervisor.secret").read_text(), before)
        self.assertIn("HUP", self.keys("add", "io-7", self.folder / "supervisor.public"))
        self.assertIn("as io-7", self.keys("add", "again", self.folder / "supervisor.public", code=73))
        self.assertIn("HUP", self.keys("remove", "workflow"))
        self.assertEqual(self.names(), ["cpu-activity", "io-7", "io-activity"])
        self.keys("remove", "workflow", code=66)
        for name in ("cpu-activity", "io-activity"):
            self.keys("remove", name)
        self.assertIn("last key", self.keys("remove", "io-7", code=64))

    def test_names_of_ones_own(self):
        self.keys("generate", "eu-1", "eu-2")
        self.assertEqual(self.names(), ["eu-1", "eu-2"])

    def test_mistakes(self):
        for args in [(), ("make",), ("add", "x"), ("remove",), ("list", "x"), ("generate", "../x"),
                     ("add", "supervisor", "k")]:
            self.assertEqual(len(self.keys(*args, code=64).splitlines()), 1)
        self.keys("add", "x", "k" * 40 + "!", code=64)
        self.assertEqual(self.names(), [])


class Commands(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def ok(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual((code, unhurried(err)), (0, ""), args)
        return out

    def test_result_of_a_workflow(self):
        for worker in self.fleet.echo_workers():
            ready(worker)
        value = {"a": [1, None, "ü"]}
        path = pathlib.Path(self.fleet.folder.name, "input.json")
        path.write_text(json.dumps(value))
        start = ["start", "--type", "EchoWorkflow", "-t", "benchmark"]
        self.assertEqual(json.loads(self.ok(*start, "--input-file", path, "--wait")), value)
        started = json.loads(self.ok(*start, "-w", "one", "-i", "5", "-o", "json"))
        self.assertEqual(started["workflowId"], "one")
        self.assertEqual(self.ok("result", "one"), "5\n")
        self.assertEqual(self.ok("result", "-w", "one", "-r", started["runId"]), "5\n")
        history = json.loads(self.ok("history", "one", "-o", "json"))["events"]
        self.assertEqual(history[0]["eventType"], "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED")
        self.assertEqual(history[-1]["eventType"], "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED")
        self.assertEqual(len(self.ok("history", "one").splitlines()), len(history))
        described = json.loads(self.ok("describe", "one", "-o", "json"))["workflowExecutionInfo"]
        self.assertEqual(described["status"], "WORKFLOW_EXECUTION_STATUS_COMPLETED")
        self.assertIn("Completed", self.ok("describe", "one"))

    def test_load_makes_one_call_for_each(self):
        each = ["load", "--count", "30", "--concurrency", "7", "--id-prefix", "crowd", "-o", "json", "--each"]
        for call in [["start", "--type", "T", "-t", "nobody", "-i", "1"], ["signal", "--name", "go"], ["terminate"]]:
            report = json.loads(self.ok(*each, *call))
            self.assertEqual((report["answered"], report["failed"]), (30, 0), call)
        for last in "crowd-0", "crowd-29":
            self.assertEqual([line.split()[2] for line in self.ok("history", last).splitlines()],
                             ["WORKFLOW_EXECUTION_STARTED", "WORKFLOW_TASK_SCHEDULED", "WORKFLOW_EXECUTION_SIGNALED",
                              "WORKFLOW_EXECUTION_TERMINATED"])
        code, out, err = flotilla(self.fleet.target, *each, "terminate")  # they are closed
        self.assertEqual((code, json.loads(out)["failed"]), (1, 30))
        self.assertIn("first failure: NOT_FOUND", err)

    def test_signal_cancel_terminate(self):
        self.ok("start", "--type", "T", "-t", "nobody", "-w", "w")
        self.ok("signal", "w", "--name", "go", "--input", "[1]")
        self.ok("signal", "w", "again")
        self.ok("cancel", "w", "--reason", "later")
        self.ok("terminate", "w", "--reason", "enough")
        events = [line.split()[2] for line in self.ok("history", "w").splitlines()]
        self.assertEqual(events[2:], ["WORKFLOW_EXECUTION_SIGNALED"] * 2 + ["WORKFLOW_EXECUTION_CANCEL_REQUESTED",
                                      "WORKFLOW_EXECUTION_TERMINATED"])
        code, out, err = flotilla(self.fleet.target, "result", "w")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("Terminated: enough", err)
        code, _, err = flotilla(self.fleet.target, "terminate", "w")
        self.assertEqual(code, 1)
        self.assertIn("NOT_FOUND", err)

    def test_list_pages_and_filters(self):
        for i in range(7):
            self.ok("start", "--type", f"T{i % 2}", "-t", "nobody", "-w", f"w{i}")
        self.assertEqual(len(self.ok("list").splitlines()), 8)
        self.assertEqual(len(self.ok("list", "--limit", "3").splitlines()), 4)
        self.assertEqual(len(self.ok("list", "--query", "WorkflowType = 'T1'").splitlines()), 4)
        code, _, err = flotilla(self.fleet.target, "list", "--query", "Nonsense = 1")
        self.assertEqual(code, 1)
        self.assertIn("Nonsense", err)

    def test_policies(self):
        start = ["start", "--type", "T", "-t", "nobody", "-w", "w"]
        self.ok(*start)
        self.assertEqual(flotilla(self.fleet.target, *start)[0], 1)
        self.ok(*start, "--id-conflict-policy", "UseExisting")
        self.ok("terminate", "w")
        self.assertEqual(flotilla(self.fleet.target, *start, "--id-reuse-policy", "RejectDuplicate")[0], 1)


if __name__ == "__main__":
    unittest.main()
