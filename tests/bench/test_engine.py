#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the engine by itself: a small run of every part for real, its report and its goals."""
import os
import pathlib
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/support")]
import engine  # noqa: E402

BIN = pathlib.Path(os.environ.get("FLOTILLA_BIN", ROOT / "build/release/bin"))


class Small(unittest.TestCase):
    def setUp(self):
        engine.OPEN, engine.LEVELS, engine.ECHOES, engine.FILL = 300, [600, 1200], 50, 250
        self.args = types.SimpleNamespace(bin=BIN, peers=ROOT / "build/interop", runs=1, seconds=1,
                                          without={"temporal_server": "not wanted here"})

    def test_all_parts_have_figures(self):
        rows = engine.run(self.args, [])
        self.assertEqual([row["name"] for row in rows], ["startup engine", "startup dev", "open", "growth 600", "growth 1200"])
        self.assertEqual([row["name"] for row in rows if "error" in row], ["startup dev"])
        self.assertEqual([row["stored"] for row in rows[3:]], [600, 1200])
        self.assertGreater(rows[2]["bytes_each"], 0)
        report = "\n".join(engine.sections(rows))
        for text in "300 workflows that wait", "| 600 |", "| engine |":
            self.assertIn(text, report)
        for goal, measured, held in engine.goals(rows):
            self.assertIsNotNone(held, f"{goal}: {measured}")

    def test_goals_of_nothing(self):
        for rows in [[], [{"suite": "engine", "name": "open", "error": "no"}]]:
            goals = engine.goals(rows)
            self.assertEqual(len(goals), 5)
            for goal, measured, held in goals:
                self.assertEqual((measured, held), ("not measured", None), goal)


if __name__ == "__main__":
    unittest.main()
