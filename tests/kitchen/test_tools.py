#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What judges the kitchen's runs must itself find what is wrong: recipes repeat, tampered histories are told."""
import copy
import json
import unittest

from invariants import broken
from recipes import Recipe


def history():
    """A workflow with an activity and a timer that fires while a task is at work."""
    events = []

    def add(kind, at, **attributes):
        name = "".join(word.capitalize() for word in kind.split("_"))
        events.append({"eventId": str(len(events) + 1), "eventTime": f"2026-01-01T00:00:{at:02}.5Z",
                       "eventType": f"EVENT_TYPE_{kind}", f"{name[0].lower()}{name[1:]}EventAttributes": attributes})
    add("WORKFLOW_EXECUTION_STARTED", 0)
    add("WORKFLOW_TASK_SCHEDULED", 0)
    add("WORKFLOW_TASK_STARTED", 0, scheduledEventId="2")
    add("WORKFLOW_TASK_COMPLETED", 1, scheduledEventId="2", startedEventId="3")
    add("ACTIVITY_TASK_SCHEDULED", 1, activityId="1", workflowTaskCompletedEventId="4")
    add("TIMER_STARTED", 1, timerId="2", startToFireTimeout="3s", workflowTaskCompletedEventId="4")
    add("ACTIVITY_TASK_STARTED", 2, scheduledEventId="5")
    add("ACTIVITY_TASK_COMPLETED", 3, scheduledEventId="5", startedEventId="7")
    add("WORKFLOW_TASK_SCHEDULED", 3)
    add("WORKFLOW_TASK_STARTED", 3, scheduledEventId="9")
    add("WORKFLOW_TASK_COMPLETED", 5, scheduledEventId="9", startedEventId="10")
    add("TIMER_FIRED", 4, timerId="2", startedEventId="6")
    add("WORKFLOW_TASK_SCHEDULED", 5)
    add("WORKFLOW_TASK_STARTED", 5, scheduledEventId="13")
    add("WORKFLOW_TASK_COMPLETED", 5, scheduledEventId="13", startedEventId="14")
    add("WORKFLOW_EXECUTION_COMPLETED", 5, workflowTaskCompletedEventId="15")
    return events


class Invariants(unittest.TestCase):
    def told(self, change, text):
        events = history()
        change(events)
        self.assertIn(text, "; ".join(broken(events)))

    def attributes(self, events, i):
        return next(v for k, v in events[i - 1].items() if k.endswith("Attributes"))

    def swap(self, events, i, j):
        events[i - 1], events[j - 1] = events[j - 1], events[i - 1]
        for n, event in enumerate(events):
            event["eventId"] = str(n + 1)

    def test_sound_history_is_fine(self):
        self.assertEqual(broken(history()), [])

    def test_gap_in_ids(self):
        self.told(lambda e: e.pop(4), "event id 6 stands in place 5")

    def test_reference_to_another_type(self):
        self.told(lambda e: self.attributes(e, 8).update(scheduledEventId="6"), "scheduledEventId 6 is TIMER_STARTED")

    def test_reference_forward(self):
        self.told(lambda e: self.attributes(e, 8).update(startedEventId="12"), "startedEventId 12 is TIMER_FIRED")

    def test_second_end(self):
        def change(events):
            events[11] = copy.deepcopy(events[7])
            events[11]["eventId"] = "12"
        self.told(change, "activity of event 5 has had its end before")

    def test_event_within_a_task(self):
        self.told(lambda e: self.swap(e, 11, 12), "stands between a task's start and its end")

    def test_command_that_follows_no_task(self):
        self.told(lambda e: self.swap(e, 6, 7), "no command's event is before it")

    def test_early_timer(self):
        self.told(lambda e: self.attributes(e, 6).update(startToFireTimeout="3.001s"), "1.0 ms too early")

    def test_time_goes_backwards(self):
        self.told(lambda e: e[10].update(eventTime="2026-01-01T00:00:03.4Z"), "its time is before that of event 10")

    def test_failed_task(self):
        def change(events):
            events[10]["eventType"] = "EVENT_TYPE_WORKFLOW_TASK_FAILED"
            self.attributes(events, 11)["cause"] = "WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR"
        self.told(change, "a workflow task failed: WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR")

    def test_two_ends(self):
        def change(events):
            events[4] = dict(copy.deepcopy(events[15]), eventId="5")
        self.told(change, "2 events close the run")


class Recipes(unittest.TestCase):
    def test_seed_repeats(self):
        for seed in range(50):
            one, other = Recipe(seed), Recipe(seed)
            self.assertEqual((one.input, one.trace, one.messages, one.calls), (other.input, other.trace, other.messages, other.calls))
            self.assertLess(len(json.dumps(one.input)), 500_000)

    def test_every_step_comes(self):
        """Among some recipes each kind of step is seen, so that none is left out by mistake."""
        seen = set()

        def look(value):
            if isinstance(value, dict):
                seen.add(value.get("do"))
                value = list(value.values())
            if isinstance(value, list):
                for one in value:
                    look(one)
        for seed in range(300):
            recipe = Recipe(seed)
            look([recipe.input, recipe.calls])
        table = {"activity", "local", "timer", "child", "signal", "cancel", "same", "sleep", "set", "await", "receive",
                 "messages", "all", "any", "many", "scope", "await_cancel", "channel", "mutex", "semaphore", "wait_group",
                 "with_child", "patch", "side_effect", "mutable_side_effect", "random", "now", "order", "attributes", "memo",
                 "details", "info", "continue", "fail", "return", "cancelled"}
        self.assertEqual(seen - {None}, table)


if __name__ == "__main__":
    unittest.main()
