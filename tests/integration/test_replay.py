# SPDX-License-Identifier: Apache-2.0
"""`flotilla replay`: histories of every form against modules that match them and modules that do not."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from support import BIN, Fleet, flotilla, ready, run

REPLAY = pathlib.Path(__file__).parents[1] / "replay"
HISTORIES, EXPORTS, PYTHON = REPLAY / "histories", REPLAY / "exports", REPLAY / "python"
LOCAL, FOLLOW = (BIN.parent / f"tests/modules/{name}.so" for name in ("local", "follow"))


def replay(*args):
    return run("flotilla", "replay", *args)


class Replay(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flotilla-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def changed(self, **edit):
        """LocalChain with event 11's fields replaced, as a file."""
        history = json.loads((EXPORTS / "LocalChain.python.json").read_text())
        history["events"][-1].update(edit)
        return self.write("changed.json", json.dumps(history))

    def test_packed_and_exported_histories_match(self):
        code, out, err = replay(HISTORIES / "LocalChain.pb", EXPORTS, "-m", LOCAL)
        self.assertEqual(code, 0, out + err)
        self.assertIn("LocalFail.shorthand.json: LocalFail, 6 events", out)
        self.assertIn("4 of 4 histories match", out)

    def test_histories_of_a_python_worker_match(self):
        """Activities, timers, patches, children, signals, updates, cancellation, continue-as-new."""
        code, out, err = replay(PYTHON, "-m", FOLLOW)
        self.assertEqual(code, 0, out + err)
        self.assertIn("4 of 4 histories match", out)

    def test_history_that_differs_is_explained(self):
        file = self.changed(eventType="EVENT_TYPE_TIMER_STARTED", timerStartedEventAttributes={"timerId": "9"})
        code, out, _ = replay(EXPORTS / "LocalFail.python.json", file, "-m", LOCAL)
        self.assertEqual(code, 1)
        self.assertIn("ok      ", out)
        self.assertIn("FAILED  ", out)
        self.assertIn("[TMPRL1100] Nondeterminism error: event 13 is TimerStarted (timer id 9), but the code issued "
                      "CompleteWorkflowExecution", out)
        self.assertIn("    history:\n", out)
        self.assertIn("      > event 13 is TimerStarted (timer id 9)", out)
        self.assertIn("1 of 2 histories match", out)

    def test_module_of_this_folder_without_a_slash(self):
        shutil.copy(LOCAL, self.folder / "here.so")
        for name in ("here.so", "here"):
            code, _, err = run("flotilla", "replay", EXPORTS, "-m", name, cwd=self.folder)
            self.assertEqual(code, 78)
            self.assertIn('did you mean "./here.so"?', err)

    def test_steps_show_jobs_and_commands(self):
        code, out, _ = replay(HISTORIES / "LocalBoth.pb", "-m", LOCAL, "--step", "-o", "json")
        self.assertEqual(code, 0)
        activations = json.loads(out)["histories"][0]["activations"]
        self.assertEqual([[job["job"] for job in a["jobs"]] for a in activations],
                         [["initialize_workflow"], ["resolve_activity"], ["resolve_activity"], ["resolve_activity"]])
        self.assertEqual([c["command"] for c in activations[2]["commands"]], ["RecordMarker", "ScheduleActivityTask"])
        self.assertRegex(activations[2]["commands"][1]["place"], r"^local\.c:[0-9]+$")

    def test_history_without_a_completed_task_is_no_proof(self):
        history = json.loads((EXPORTS / "LocalFail.python.json").read_text())
        file = self.write("young.json", json.dumps({"events": history["events"][:2]}))
        code, out, err = replay(file, "-m", LOCAL)
        self.assertEqual(code, 0, err)
        self.assertIn("young.json: LocalFail, 2 events: nothing to replay yet", out)
        _, out, _ = replay(file, EXPORTS / "LocalFail.python.json", "-m", LOCAL, "-o", "json")
        self.assertEqual([h["nothing_to_replay"] for h in json.loads(out)["histories"]], [True, False])

    def test_trouble_has_its_exit_code(self):
        bad = self.write("bad.json", '{"events": [{"eventId": "x"}]}')
        for args, expected, word in [
                ((), 64, "no --module"), (("-m", LOCAL), 64, "no FILE"),
                ((self.folder / "absent.json", "-m", LOCAL), 66, "No such file"),
                ((bad, "-m", LOCAL), 65, "events[0].eventId"),
                ((bad, "-m", "nothing-of-this-name"), 78, "nothing-of-this-name"),
                ((EXPORTS, "-m", "echo"), 1, "")]:
            code, out, err = replay(*args)
            self.assertEqual(code, expected, (args, out, err))
            self.assertIn(word, err)

    def test_names_that_are_no_text_are_reported(self):
        """A file's name may be any bytes, and what identifies an event may be cut inside a letter: JSON has both."""
        file = self.folder / os.fsdecode(b"a\xff.json")
        file.write_bytes((EXPORTS / "LocalFail.python.json").read_bytes())
        code, out, _ = replay(file, "-m", LOCAL, "-o", "json")
        self.assertEqual(code, 0)
        self.assertTrue(json.loads(out)["histories"][0]["history"].endswith("/a?.json"))
        history = json.loads((EXPORTS / "LocalFail.python.json").read_text())
        for at, name in enumerate(("a" + "\u00e9" * 100, "\u00e9" * 100)):
            history["events"].insert(1 + at, {"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
                                              "workflowExecutionSignaledEventAttributes": {"signalName": name}})
        for number, event in enumerate(history["events"]):
            event["eventId"] = str(number + 1)
        file = self.write("cut.json", json.dumps(history))
        _, out, _ = replay(file, "-m", LOCAL, "-o", "json", "--step")
        jobs = [job["job"] for a in json.loads(out)["histories"][0]["activations"] for job in a["jobs"]]
        self.assertEqual(jobs.count("signal_workflow"), 2, out)

    def test_stdin_is_a_file(self):
        done = subprocess.run([BIN / "flotilla", "replay", "-", "-m", LOCAL], capture_output=True, text=True,
                              input=(EXPORTS / "LocalFail.python.json").read_text(), timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)


class Served(unittest.TestCase):
    """A workflow of a server, and the same as a file that `flotilla history` wrote."""

    def test_workflow_replays(self):
        with Fleet(BIN) as fleet:
            fleet.engine()
            for role in ("workflow-worker", "io-activity-worker"):
                ready(fleet.worker(role, "echo", "q"))
            code, out, err = flotilla(fleet.target, "start", "-w", "one", "--type", "EchoWorkflow", "-t", "q",
                                      "-i", '"hi"', "--wait")
            self.assertEqual(code, 0, out + err)
            code, out, err = flotilla(fleet.target, "replay", "-w", "one", "-m", "echo")
            self.assertEqual((code, out), (0, "ok      one: EchoWorkflow, 11 events\n"), err)
            _, history, _ = flotilla(fleet.target, "history", "one", "-o", "json")
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                file.write(history)
                file.flush()
                code, out, err = replay(file.name, "-m", "echo")
                self.assertEqual(code, 0, out + err)
            code, out, _ = flotilla(fleet.target, "replay", "-w", "two", "-m", "echo")
            self.assertEqual(code, 1, out)


if __name__ == "__main__":
    unittest.main()
