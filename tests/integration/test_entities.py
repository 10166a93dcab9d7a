#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Children, external executions, continue-as-new, patches, side effects and attributes in a real worker, with its
cache and without one."""
import json
import unittest

from support import BIN, FleetTest, flotilla, ready

MODULE = BIN.parent / "tests/modules/entities.so"
PARENT = {"completes": {"value": 7, "parent": "parent", "memo": "memo"}, "fails": ["KidBroke", 3, 1],
          "signalled": [-4, "WorkflowAlreadyStarted"], "cancelled": [-8, -8, -8, -8], "external": [-3, -3, 0, 0]}


class Entities(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def cli(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def begin(self, type_, id_, value):
        self.cli("start", "--type", type_, "-t", "entities", "-w", id_, "-i", json.dumps(value))

    def events(self, id_):
        return json.loads(self.cli("history", id_, "--output", "json"))["events"]

    def work(self, **settings):
        worker = self.fleet.worker("workflow-worker", str(MODULE), "entities", **settings)
        ready(worker)
        self.begin("Other", "other", None)
        self.begin("Parent", "parent", "other")
        self.assertEqual(json.loads(self.cli("result", "parent")), PARENT)
        names = [e["eventType"] for e in self.events("parent")]
        self.assertNotIn("EVENT_TYPE_WORKFLOW_TASK_FAILED", names)
        self.assertIn("EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED", [e["eventType"] for e in self.events("other")])
        completed = next(e for e in self.events("parent") if e["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED")
        metadata = completed["workflowTaskCompletedEventAttributes"]["sdkMetadata"]
        self.assertEqual(metadata["sdkName"], "flotilla-c")

    def test_with_cache(self):
        self.work()

    def test_without_cache(self):
        self.work(sticky_cache__max_entries=0)


if __name__ == "__main__":
    unittest.main()
