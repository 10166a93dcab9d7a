#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the workflow API offers (tests/interop/modules), in real workers on the engine, called by the command line: with
a cache, without one, and with runs evicted by chance (FLOTILLA_RANDOM_EVICTION_SEED repeats it). Every history replays,
and none does when it was tampered with. tests/interop/features.py is the same with the official client."""
import json
import os
import pathlib
import random
import subprocess
import unittest

from support import BIN, FleetTest, flotilla, ready, wait_for

QUEUE = "features"
THEMES = ("steps", "waiting", "entities", "messages", "failures")
# Workflows that nobody has to steer: input and result.
RESULTS = {
    "ActivityOptions": ({"a": 1}, [3, {"a": 1}, -2]),
    "ActivityCancel": (None, [[-8, None], [-8, "tidied"], [-8, None], -8]),
    "LocalActivities": ({"a": 1}, [{"a": 1}, 3, 3, -15, "Broke", -15, True, 20, -8]),
    "Timers": (None, [True, True, -8, -8, 0]),
    "AwaitMany": ("unlucky", [[0, 1, 2, 3, 4, 5, 6, 7], 1, -15, "Broke"]),
    "Conditions": (None, [-7, 0, 0, 5]),
    "Coroutines": ("unlucky", [-15, "Broke", 5, -8]),
    "Meetings": (None, [45, 9, 9, 2, 1, -24, -6, -2]),
    "Scopes": ("clean", [-8, -7, True, "changed our mind", -8, -8, "clean", 0, -24, False]),
    "ChildCancel": (None, [-8, -8, -8, -8, -8]),
    "ChildIds": (None, [0, 0, -4, -4, -15, 0, -4, 0, -15]),
    "Continues": ({"left": 2}, [True, True, 100001, 1]),
    "LongOne": (None, [False]),
    "ParentClose": (None, None),
}
# What other code would have issued: event type -> the member that differs, and how.
OTHER = {"ACTIVITY_TASK_SCHEDULED": ("activityType", {"name": "other"}), "TIMER_STARTED": ("timerId", "77"),
         "START_CHILD_WORKFLOW_EXECUTION_INITIATED": ("workflowType", {"name": "other"}),
         "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": ("signalName", "other"),
         "MARKER_RECORDED": ("markerName", "LocalActivity")}


def module(name):
    return str(BIN.parent / f"tests/modules/features_{name}.so")


def name_of(event):
    return event["eventType"].removeprefix("EVENT_TYPE_")


def tampered(events):
    """A copy with its first command changed; None when there is none that could be another."""
    events = json.loads(json.dumps(events))
    for event in events:
        if name_of(event) in OTHER:
            member, value = OTHER[name_of(event)]
            next(v for k, v in event.items() if k.endswith("Attributes"))[member] = value
            return events
    return None


class Features(FleetTest):
    SETTINGS = {}

    def setUp(self):
        super().setUp()
        self.fleet.engine()
        self.ids = []

    def cli(self, *args, fails=None):
        code, out, err = flotilla(self.fleet.target, *args)
        if fails:
            self.assertNotEqual(code, 0, f"{args}: {out}")
            self.assertIn(fails, out + err)
        else:
            self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def work(self, modules, queue):
        worker = self.fleet.worker("workflow-worker", modules, queue,
                                   sticky_cache__schedule_to_start_timeout="500ms", **self.SETTINGS)
        ready(worker)
        return worker

    def begin(self, type_, value=None, *more, id_=None, queue=QUEUE):
        self.cli("start", "--type", type_, "-t", queue, "-w", id_ or type_, "-i", json.dumps(value), *more)
        self.ids.append(id_ or type_)

    def history(self, id_):
        return json.loads(self.cli("history", id_, "-o", "json"))["events"]

    def events(self, id_):
        return [name_of(e) for e in self.history(id_)]

    def until(self, id_, name, times=1):
        wait_for(lambda: self.events(id_).count(name) >= times, f"{times} {name} of {id_}")

    def result(self, id_):
        return json.loads(self.cli("result", id_))

    def signal(self, id_, name, value=None):
        self.cli("signal", id_, "--name", name, "-i", json.dumps(value))

    def query(self, id_, name, value=None):
        return json.loads(self.cli("query", id_, name, "-i", json.dumps(value)))

    def update(self, id_, name, value=None, *more):
        return json.loads(self.cli("update", id_, name, "-i", json.dumps(value), *more))

    # ---- those that are steered ----

    def signalled(self):
        self.signal("Signals", "taken", 1)
        self.signal("Signals", "note", "early")
        self.signal("Signals", "odd", 7)
        self.signal("Signals", "begin", "b")
        self.assertEqual(self.query("Signals", "notes"), [])
        for name, value in (("taken", 2), ("note", "late"), ("done", None)):
            self.signal("Signals", name, value)
        *taken, notes = self.result("Signals")
        self.assertEqual(taken, ["b", 1, True, 1, 2, -7])
        self.assertCountEqual(notes, ["early", "late", ["odd", [7]]])

    def queried(self):
        self.assertEqual(self.query("Queries", "args", 1), ["args", 1, [1], "Queries"])
        self.assertEqual(self.query("Queries", "what", 2), ["what", 2, [2], "Queries"])
        self.cli("query", "Queries", "failure", fails="there is no answer to failure")
        self.cli("query", "Queries", "activity", fails="may only look")
        stack = self.cli("stack", "Queries")
        self.assertIn("main at features_messages.c:", stack)
        self.assertIn("beside at features_messages.c:", stack)
        self.signal("Queries", "done")
        self.assertEqual(self.result("Queries"), "answered")
        self.assertEqual(self.query("Queries", "args", 3), ["args", 3, [3], "Queries"])

    def updated(self):
        self.assertEqual(self.update("Updates", "add", 10), 1)
        self.cli("update", "Updates", "add", "-i", '"ten"', fails="that is no number")
        for i in range(3):
            self.cli("update", "Updates", "add_later", "-i", str(i), "--wait-for-stage", "accepted")
        self.assertEqual(self.update("Updates", "odd", 1, "--update-id", "any"), ["odd", "any", [1]])
        self.cli("update", "Updates", "add_broken", "-i", "5", fails="no money")
        self.assertFalse(self.update("Updates", "finish"))
        self.assertEqual(sorted(self.result("Updates")), [0, 1, 2, 10])
        names = self.events("Updates")
        self.assertEqual([names.count(f"WORKFLOW_EXECUTION_UPDATE_{end}") for end in ("ACCEPTED", "COMPLETED")], [7, 7])

    def running(self, id_):
        """The ids of its activities of which an attempt runs that was not asked to stop."""
        pending = json.loads(self.cli("describe", id_, "-o", "json")).get("pendingActivities", [])
        return [a["activityId"] for a in pending if a["state"] == "PENDING_ACTIVITY_STATE_STARTED"]

    def stopped(self):
        for activity in ("try", "wait", "abandon"):
            wait_for(lambda id_=activity: id_ in self.running("ActivityCancel"), f"an attempt of {activity}")
            self.signal("ActivityCancel", "begun")

    def selected(self):
        self.until("Select", "TIMER_FIRED", 2)
        self.cli("stack", "Select")  # it has seen the second timer, too
        self.signal("Select", "go", "now")
        self.assertEqual(self.result("Select"), [[1, 2, 3, 0], "first", "now", -7, -6])

    def cancelled(self):
        self.until("Cancelled", "ACTIVITY_TASK_SCHEDULED")
        self.cli("cancel", "Cancelled", "--reason", "no longer needed")
        self.cli("result", "Cancelled", fails="ended as Canceled")
        names = self.events("Cancelled")
        self.assertEqual(names[-1], "WORKFLOW_EXECUTION_CANCELED")
        self.assertEqual([names.count(n) for n in ("ACTIVITY_TASK_COMPLETED", "WORKFLOW_PROPERTIES_MODIFIED")], [1, 1])

    def values(self):
        self.until("Values", "TIMER_FIRED", 3)
        seen = [self.query("Values", "values") for _ in range(2)]
        self.assertEqual(seen[0], seen[1])
        self.signal("Values", "end")
        self.assertEqual(self.result("Values"), seen[0])
        self.assertEqual(self.events("Values").count("MARKER_RECORDED"), 5)

    def failing(self):
        result = self.result("Failures")
        self.assertEqual([(code, chain[0][0], chain[0][4]) for code, chain in result[:2]], [(-15, 6, 1), (-15, 6, 3)])
        self.assertEqual([chain[1][4] for _code, chain in result[2:]], [1, 4, 2, 3], result)
        self.cli("result", "Ends", fails="the card was refused")
        self.begin("Repaired", None, "--task-timeout", "1s")
        self.until("Repaired", "WORKFLOW_TASK_FAILED")
        self.signal("Repaired", "repaired", "by hand")
        self.assertEqual(self.result("Repaired"), "by hand")

    def related(self):
        self.assertEqual(self.result("External"), [-3, "ExternalWorkflowNotFound", -3, 0, 0])
        self.assertEqual(self.result("Info")["parent"], "Info")
        for name, end in {"terminate": "TERMINATED", "cancel": "CANCELED"}.items():
            self.until(f"ParentClose-{name}", f"WORKFLOW_EXECUTION_{end}")
        self.signal("ParentClose-abandon", "go", "on")
        self.assertEqual(self.result("ParentClose-abandon"), "on")

    # ---- all of it ----

    def replays(self, ids, *themes):
        folder = pathlib.Path(self.fleet.folder.name)
        for kind in ("good", "bad"):
            (folder / kind).mkdir(exist_ok=True)
            for file in (folder / kind).iterdir():
                file.unlink()
        for id_ in ids:
            events = self.history(id_)
            for kind, text in (("good", events), ("bad", tampered(events))):
                if text:
                    (folder / kind / f"{id_}.json").write_text(json.dumps({"events": text}))
        modules = [word for theme in themes for word in ("-m", module(theme))]
        for kind, number in (("good", len(ids)), ("bad", 0)):
            done = subprocess.run([BIN / "flotilla", "replay", folder / kind, *modules, "-o", "json"],
                                  capture_output=True, text=True)
            verdicts = json.loads(done.stdout)
            self.assertEqual(verdicts["good"], number, verdicts)

    def test_all(self):
        self.work(" ".join(map(module, THEMES)), QUEUE)
        for queue in (QUEUE, f"{QUEUE}-2"):
            self.fleet.worker("io-activity-worker", module("steps"), queue)
        self.begin("Failures", 5000)
        for type_, (value, _result) in RESULTS.items():
            self.begin(type_, value)
        for type_, value in {"Signals": None, "Queries": None, "Updates": None, "Select": "sent", "Cancelled": "refund",
                             "Values": None, "Ends": "raise", "Other": None, "External": "Other", "Info": True}.items():
            self.begin(type_, value)
        for steer in (self.stopped, self.signalled, self.queried, self.updated, self.selected, self.cancelled,
                      self.values):
            steer()
        for type_, (_value, result) in RESULTS.items():
            with self.subTest(type_):
                self.assertEqual(self.result(type_), result)
        self.related()
        self.failing()
        self.replays(self.ids, *THEMES)

    def test_changed_code(self):
        """Runs of the old code that end with it, and with the new; runs of the new code."""
        self.fleet.worker("io-activity-worker", module("steps"), QUEUE)
        old = self.work(module("before"), QUEUE)
        self.begin("Changing", id_="ends")
        self.begin("Changing", id_="goes-on")
        self.signal("ends", "go")
        self.assertEqual(self.result("ends"), ["before", True])
        self.until("goes-on", "MARKER_RECORDED")
        self.assertEqual(old.stop(), 0)
        self.fleet.processes.remove(old)
        self.work(module("after"), QUEUE)
        self.begin("Changing", id_="new")
        for id_, result in {"goes-on": ["after", False, True], "new": ["after", True, True]}.items():
            self.signal(id_, "go")
            self.assertEqual(self.result(id_), result)
            self.assertNotIn("WORKFLOW_TASK_FAILED", self.events(id_))
        self.replays(["goes-on", "new"], "after")
        self.replays(["ends"], "before")


class WithoutCache(Features):
    SETTINGS = {"sticky_cache__max_entries": 0}


class Evicted(Features):
    def setUp(self):
        super().setUp()
        seed = int(os.environ.get("FLOTILLA_RANDOM_EVICTION_SEED") or random.randrange(1, 2**53))
        print(f"FLOTILLA_RANDOM_EVICTION_SEED={seed}", flush=True)
        self.SETTINGS = {"sticky_cache__random_eviction": 0.5, "sticky_cache__random_eviction_seed": seed}


if __name__ == "__main__":
    unittest.main()
