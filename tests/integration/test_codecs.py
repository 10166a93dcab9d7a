#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payloads that the server cannot read: keys, compression, changed keys, a module's own codec; and what happens to those
who lack the key."""
import base64
import json
import pathlib
import unittest

from support import BIN, FleetTest, flotilla, ready, run, wait_for

MODULE = BIN.parent / "tests/modules/codecs.so"
TEXT = "a sentence that nobody else reads "


class Codecs(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        self.folder = pathlib.Path(self.fleet.folder.name)

    def key(self, name):
        file = self.folder / "keys" / name
        file.parent.mkdir(exist_ok=True)
        code, _, err = run("flotilla", "keys", "payload", file, name)
        self.assertEqual(code, 0, err)
        return file

    def cli(self, *args, key=None):
        """The command's output; with a key when it is given one."""
        code, out, err = flotilla(self.fleet.target, *args, *(("--codec-key-file", key) if key else ()))
        self.assertEqual(code, 0, f"{args}: {out}{err}")
        return out

    def worker(self, role, queue, modules="echo", **codec):
        worker = self.fleet.worker(role, modules, queue, **{f"codec__{name}": value for name, value in codec.items()})
        ready(worker)
        return worker

    def begin(self, queue, value, key=None, type_="EchoWorkflow"):
        self.cli("start", "-w", queue, "--type", type_, "-t", queue, "-i", json.dumps(value), key=key)

    def events(self, id_, name, key=None):
        """The attributes of the events of that name; without a key as they are stored."""
        events = json.loads(self.cli("history", id_, "-o", "json", key=key))["events"]
        found = [e for e in events if e["eventType"] == f"EVENT_TYPE_{name}"]
        return [next(value for field, value in e.items() if field.endswith("Attributes")) for e in found]

    def test_server_has_sealed_and_small_payloads(self):
        key = self.key("one")
        for role in ("workflow-worker", "io-activity-worker"):
            self.worker(role, "sealed", key_file=key, zstd="true")
        self.begin("sealed", TEXT * 1000, key)
        self.assertEqual(json.loads(self.cli("result", "sealed", key=key)), TEXT * 1000)
        stored = self.cli("history", "sealed", "-o", "json")
        result = self.events("sealed", "WORKFLOW_EXECUTION_COMPLETED")[0]["result"]["payloads"][0]
        self.assertLess(len(result["data"]), 2000, "34,000 characters, compressed before they are encrypted")
        self.assertNotIn(TEXT, self.cli("result", "sealed"))
        code, _, err = flotilla(self.fleet.target, "result", "sealed", "--codec-key-file", self.key("other"))
        self.assertEqual(code, 65)
        self.assertIn('the answer cannot be read: codec aes-256-gcm: a payload is encrypted with the key "one"', err)
        opened = self.events("sealed", "WORKFLOW_EXECUTION_COMPLETED", key)[0]["result"]["payloads"][0]
        self.assertEqual(json.loads(base64.b64decode(opened["data"])), TEXT * 1000)
        sealed = self.events("sealed", "WORKFLOW_EXECUTION_STARTED")[0]["input"]["payloads"][0]["metadata"]
        self.assertEqual({name: base64.b64decode(value) for name, value in sealed.items()},
                         {"encoding": b"binary/encrypted", "encryption-key-id": b"one"})
        self.replay(key, stored)

    def replay(self, key, stored):
        """The history as it is stored, from a file and from the server, with the key, without, and with another."""
        file = self.folder / "sealed.json"
        file.write_text(stored)
        for args in ((file,), ("-w", "sealed", "--address", self.fleet.target)):
            code, out, err = run("flotilla", "replay", *args, "-m", "echo", "--codec-key-file", key)
            self.assertEqual(code, 0, out + err)
            self.assertIn("EchoWorkflow, 11 events", out)
            code, out, err = run("flotilla", "replay", *args, "-m", "echo", env={"FLOTILLA_CODEC_KEY_FILE": str(key)})
            self.assertEqual(code, 0, out + err)
            code, out, err = run("flotilla", "replay", *args, "-m", "echo")
            self.assertEqual((code, out), (78, ""), err)
            self.assertIn("a payload is encrypted, and no key was given: --codec-key-file", err)
            code, out, err = run("flotilla", "replay", *args, "-m", "echo", "--codec-key-file", self.key(f"x{len(args)}"))
            self.assertEqual((code, out), (78, ""), err)
            self.assertIn('encrypted with the key "one"', err)

    def test_task_for_a_wrong_key_fails_by_name(self):
        one, two = self.key("one"), self.key("two")
        worker = self.worker("workflow-worker", "wrong", key_file=two)
        self.begin("wrong", TEXT, one)
        failed = wait_for(lambda: self.events("wrong", "WORKFLOW_TASK_FAILED"), "the failed task")
        self.assertIn('encrypted with the key "one"', failed[0]["failure"]["message"])
        self.assertEqual(failed[0]["failure"]["applicationFailureInfo"]["type"], "PayloadCodecError")
        self.assertEqual(worker.stop(), 0)

    def test_task_without_any_key_fails_by_name(self):
        """Neither worker has a codec: no code sees the encrypted value, and one with the key goes on."""
        one = self.key("one")
        worker = self.worker("workflow-worker", "keyless")
        self.begin("keyless", TEXT, one)
        failed = wait_for(lambda: self.events("keyless", "WORKFLOW_TASK_FAILED"), "the failed task")
        self.assertIn('encrypted with key "one"', failed[0]["failure"]["message"])
        self.assertIn("codec.key_file", failed[0]["failure"]["message"])
        self.assertEqual(failed[0]["failure"]["applicationFailureInfo"]["type"], "PayloadCodecError")
        self.assertEqual(worker.stop(), 0)

    def test_activity_for_a_wrong_key_is_tried_again_and_keys_change(self):
        """The activity worker's key is another one; a worker that reads both keys ends the workflow with its own."""
        one, two = self.key("one"), self.key("two")
        self.worker("workflow-worker", "rotated", key_file=one, keys_dir=one.parent)
        wrong = self.worker("io-activity-worker", "rotated", key_file=two)
        self.begin("rotated", TEXT, one)

        def failure():
            pending = json.loads(self.cli("describe", "rotated", "-o", "json")).get("pendingActivities", [])
            return pending and pending[0].get("lastFailure")
        failed = wait_for(failure, "the failed attempt")
        self.assertEqual(failed["applicationFailureInfo"]["type"], "PayloadCodecError")
        self.assertIn('encrypted with the key "one"', failed["message"])
        self.assertEqual(wrong.stop(), 0)
        self.worker("io-activity-worker", "rotated", key_file=two, keys_dir=one.parent)
        self.assertEqual(json.loads(self.cli("result", "rotated", key=one)), TEXT)
        done = self.events("rotated", "ACTIVITY_TASK_COMPLETED")[0]["result"]["payloads"][0]["metadata"]
        self.assertEqual(base64.b64decode(done["encryption-key-id"]), b"two")

    def test_key_files_that_cannot_be_are_refused_at_the_start(self):
        open_, empty = self.key("open"), self.folder / "empty"
        open_.chmod(0o604)
        empty.touch(mode=0o600)
        for file, sentence in ((open_, f"{open_} can be read by others: chmod 0600 it"), (empty, str(empty)),
                               (self.folder / "absent", "No such file")):
            worker = self.fleet.worker("workflow-worker", "echo", "refused", codec__key_file=file)
            worker.said(sentence)
            self.assertEqual(worker.child.wait(20), 78)
            self.fleet.processes.remove(worker)
            worker.stop()
            code, _, err = flotilla(self.fleet.target, "list", "--codec-key-file", file)
            self.assertEqual(code, 78)
            self.assertIn(sentence, err)

    def test_module_brings_a_codec(self):
        for role in ("workflow-worker", "io-activity-worker"):
            worker = self.worker(role, "backwards", str(MODULE))
        self.begin("backwards", "desserts", type_="Backwards")
        self.cli("result", "backwards")
        done = self.events("backwards", "WORKFLOW_EXECUTION_COMPLETED")[0]["result"]["payloads"][0]
        self.assertEqual(base64.b64decode(done["metadata"]["encoding"]), b"text/reversed")
        self.assertEqual(base64.b64decode(done["data"]), b'"stressed"')
        code, out, err = flotilla(self.fleet.target, "replay", "-w", "backwards", "-m", MODULE)
        self.assertEqual((code, out), (0, "ok      backwards: Backwards, 11 events\n"), err)
        self.assertEqual(worker.stop(), 0)

    def test_answer_that_cannot_be_encoded_is_kept_back_and_told(self):
        worker = self.worker("workflow-worker", "kept", str(MODULE))
        self.begin("kept", "not to be written", type_="Backwards")
        self.assertIn("codec backwards: the key server is away", worker.said("An answer was kept back: a codec failed"))
        self.assertEqual(self.events("kept", "WORKFLOW_TASK_COMPLETED"), [])


if __name__ == "__main__":
    unittest.main()
