#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts of instructions against a reference: what fails, what is only said, what is not compared."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import micro  # noqa: E402

HERE = {"libc": "2.36", "compiler": "gcc 12"}
COUNTED = [{"part": "pack", "unit": "message", "instructions": 1000.0},
           {"part": "replay", "unit": "event", "instructions": 200.0}]


def against(pack, environment=None, counted=None):
    """The row of pack beside a reference of so many instructions."""
    reference = micro.accept({}, environment or HERE, COUNTED)
    reference["parts"]["pack"]["instructions"] = pack
    rows = micro.compare(reference, HERE, counted or COUNTED)
    assert [row["name"] for row in rows] == ["pack", "replay"]
    assert "error" not in rows[1], rows[1]
    return rows[0]


class Compare(unittest.TestCase):
    def test_same_and_within_the_tolerance_is_silent(self):
        for reference in [1000.0, 1000 / 1.019, 1000 / 0.981]:
            self.assertFalse({"error", "note", "skipped"} & set(against(reference)), reference)

    def test_a_reference_that_was_lower_fails_and_says_everything(self):
        row = against(900.0)
        for word in ["message", "900.0", "1,000.0", "+11.1%", "scripts/bench micro --accept pack"]:
            self.assertIn(word, row["error"])
        self.assertIn("error", against(1000 / 1.021))

    def test_a_reference_that_was_higher_is_a_note(self):
        row = against(1250.0)
        self.assertNotIn("error", row)
        for word in ["1,250.0", "-20.0%", "scripts/bench micro --accept pack"]:
            self.assertIn(word, row["note"])

    def test_another_environment_is_not_compared_and_says_why(self):
        row = against(500.0, {"libc": "2.41", "compiler": "gcc 12"})
        self.assertNotIn("error", row)
        self.assertEqual(row["skipped"], "libc 2.41, here 2.36")

    def test_a_part_without_reference_fails(self):
        rows = micro.compare({}, HERE, COUNTED[:1])
        self.assertIn("no reference", rows[0]["error"])

    def test_a_part_that_cannot_be_counted_fails(self):
        failed = {"part": "pack", "error": "it crashed"}
        self.assertEqual(against(1000.0, counted=[failed, COUNTED[1]])["error"], "it crashed")


class Accept(unittest.TestCase):
    def test_keeps_what_was_not_counted_unless_the_environment_changed(self):
        old = micro.accept({}, HERE, COUNTED)
        new = [{"part": "pack", "unit": "message", "instructions": 7.0}]
        self.assertEqual({name: part["instructions"] for name, part in micro.accept(old, HERE, new)["parts"].items()},
                         {"pack": 7.0, "replay": 200.0})
        self.assertEqual(list(micro.accept(old, {"libc": "2.41"}, new)["parts"]), ["pack"])

    def test_the_stored_reference_has_every_part(self):
        stored = json.loads(micro.REFERENCE.read_text())
        self.assertEqual(list(stored["parts"]), list(micro.NAMES))


if __name__ == "__main__":
    unittest.main()
