#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's frame: what is picked by name, goals without figures, failed rows; and one short run for real."""
import contextlib
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/support")]
import matrix  # noqa: E402
import matrix_report  # noqa: E402
import procfs  # noqa: E402
import queues  # noqa: E402
import restate  # noqa: E402
import rivals  # noqa: E402
import run  # noqa: E402
import table  # noqa: E402

BIN = pathlib.Path(os.environ.get("FLOTILLA_BIN", ROOT / "build/release/bin"))
FIGURES = {"cpu_s_per_1000": 1.0, "user_s": 0.1, "system_s": 0.1, "switches_each": 2.0, "written_kb_each": 3.0}
MEMORY = {"rss_mb": 4.0, "pss_mb": 3.0, "private_mb": 2.0, "rss_peak_mb": 5.0, "threads": 3}


def row(server, worker, workload, cpu=1.0, rate=100.0):
    used = {"worker": {**FIGURES, "cpu_s_per_1000": cpu}, "server": FIGURES}
    return {"suite": "matrix", "name": f"{server} {worker} {workload}", "server": server, "worker": worker,
            "workload": workload, "runs": [used], "used": used, "count": 10, "workflowsPerSecond": rate, "p50Ms": 1.0,
            "p95Ms": 2.0, "p99Ms": 3.0, "idle": MEMORY, "idle_each": [MEMORY], "server_idle": MEMORY,
            "worker_end": MEMORY, "server_end": MEMORY}


def suites(**names):
    return {name: types.SimpleNamespace(NAMES=dict.fromkeys(of_it)) for name, of_it in names.items()}


class Picking(unittest.TestCase):
    def test_names_pick_suites_and_what_is_in_them(self):
        two = suites(a=["x", "y"], b=["y", "z"])
        for names, picked in [([], {"a": [], "b": []}), (["x"], {"a": ["x"]}), (["y"], {"a": ["y"], "b": ["y"]}),
                              (["b"], {"b": []}), (["a", "y"], {"a": ["y"]}), (["a", "b", "z"], {"a": [], "b": ["z"]})]:
            self.assertEqual(run.chosen(two, names), picked, names)

    def test_cells_are_those_of_all_named_axes(self):
        self.assertEqual(matrix.cells(["ours", "file", "echo", "alone"]),
                         [("file", "ours", "echo"), ("file", "ours", "alone")])
        self.assertEqual({worker for _, worker, _ in matrix.cells(["dev", "fan50"])}, set(matrix.WORKERS))
        self.assertEqual(matrix.cells(["python", "dev-wal"]), [])

    def test_peers_are_wanted_only_for_what_is_picked(self):
        self.assertEqual(matrix.needs(["ours", "file", "chain10"]), [])
        self.assertEqual(matrix.needs(["ours", "go", "dev-wal", "echo"]), ["go_worker", "strace", "temporal_server"])
        for peer in matrix.needs([]):
            self.assertIn(f"peer_{peer}()", (ROOT / "scripts/peers.sh").read_text())


class Report(unittest.TestCase):
    def goal(self, rows, start):
        return next(goal for goal in matrix.goals(rows) if goal[0].startswith(start))

    def test_goals_without_rows_are_not_measured(self):
        for goal, measured, held in matrix.goals([]):
            self.assertEqual((measured, held), ("not measured", None), goal)

    def test_a_ratio_that_is_reached_and_one_that_is_not(self):
        start = "worker CPU per echo on the dev server (memory, defaults) ≤ 1/10"
        for go, held in [(10.0, True), (9.9, False)]:
            rows = [row("dev", "ours", "echo", cpu=1.0), row("dev", "go", "echo", cpu=go)]
            self.assertIs(self.goal(rows, start)[2], held)

    def test_forty_times_the_tuned_server(self):
        start = "engine on file, echo, 50 in flight ≥ 40"
        for rate, held in [(4000.0, True), (3900.0, False)]:
            rows = [row("file", "ours", "echo", rate=rate), row("dev-wal", "ours", "echo", rate=100.0)]
            self.assertIs(self.goal(rows, start)[2], held)

    def test_a_failed_row_is_shown_and_breaks_nothing(self):
        failed = {"suite": "matrix", "name": "dev go echo", "server": "dev", "worker": "go", "workload": "echo",
                  "runs": [], "error": "no | such thing"}
        rows = [row("dev", "ours", "echo"), failed]
        self.assertIn("FAILED", "\n".join(matrix.sections(rows)))
        self.assertIn("dev go echo: no | such thing", "\n".join(table.failures({"rows": rows})))
        self.assertIn("FAILED", matrix_report.progress(failed))

    def test_a_suite_that_breaks_in_the_report_is_a_failed_row_and_the_others_stand(self):
        def breaks(rows):
            raise KeyError("p50Ms")
        good = types.SimpleNamespace(goals=lambda rows: [("a goal", "1 ms", True)], sections=lambda rows: ["all good"])
        broken = types.SimpleNamespace(goals=breaks, sections=breaks)
        report = {"date": "today", "runs": 1, "seconds": 1, "skipped": {}, "versions": {}, "load_after": [0.0],
                  "machine": {"cpu": "c", "cores": 2, "memory_gb": 1, "kernel": "6", "flushes_per_second": 1,
                              "load_before": [0.0]},
                  "rows": [{"suite": "broken", "name": "x"}, {"suite": "good", "name": "y"}]}
        with contextlib.redirect_stderr(io.StringIO()):
            text = table.markdown(report, {"broken": broken, "good": good})
        for line in ["| a goal | 1 ms | yes |", "all good", "- bench, goals of broken: KeyError: 'p50Ms'",
                     "- bench, sections of broken: KeyError: 'p50Ms'"]:
            self.assertIn(line, text)
        self.assertEqual(len([row for row in report["rows"] if "error" in row]), 2)

    def test_goals_against_rivals_are_measured_only_with_all_of_them(self):
        def rows(names, of_row):
            figures = {"workflowsPerSecond": 100.0, "serverCpuMs": 1.0, "p50Ms": 1.0}
            return [{"name": name, "runs": {"loop": [0, 0]}, "loop": figures, "alone": figures, **of_row} for name in names]
        for suite, names in [(restate, ["ours", *restate.NAMES]),
                             (queues, ["ours", *[f"{name}, always" for name in queues.PEERS]])]:
            for goal, measured, held in suite.goals(rows(names, {})):
                self.assertIsNotNone(held, goal)
                self.assertIn("runs: 2 and 2", measured)
            for missing in (0, -1):
                some = [name for name in names if name != names[missing]]
                goal, measured, held = suite.goals([*rows(some, {}), *rows([names[missing]], {"error": "no"})])[0]
                self.assertEqual((measured, held), (f"not measured: no figures of {names[missing]}", None), goal)

    def test_a_bar_in_a_cell_does_not_break_its_row(self):
        self.assertEqual(table.lines_of(["a"], [["x|y"]])[2], "| x/y |")


class Processes(unittest.TestCase):
    def child(self, program):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        for end in (child.stdout.close, child.wait, child.kill):  # the last first
            self.addCleanup(end)
        return child

    def test_cpu_of_a_process_that_computes(self):
        child = self.child("while True: pass")
        before = procfs.read([child.pid])
        while procfs.cpu_seconds(child.pid)[0] < before["cpu_s"] + 0.1:
            pass
        used = procfs.between(before, procfs.read([child.pid]), 100)
        self.assertGreaterEqual(used["cpu_s_per_1000"], 1.0)

    def test_threads_and_children_that_end_while_they_are_read(self):
        come_and_go = ("import subprocess, threading\nprint('up', flush=True)\nwhile True:\n"
                       " threading.Thread(target=int).start(); subprocess.Popen(['true']).wait()")
        child = self.child(come_and_go)
        child.stdout.readline()
        readings = [procfs.read([child.pid]) for _ in range(300)]
        self.assertGreater(readings[-1]["cpu_s"], readings[0]["cpu_s"])

    def test_workers_stand_still_after_a_failure_and_go_on_at_the_end(self):
        child = self.child("print('up', flush=True)\nwhile True: pass")
        child.stdout.readline()
        with self.assertRaises(RuntimeError), rivals.held_after(types.SimpleNamespace(worker_pids=[child.pid])):
            raise RuntimeError("it failed")
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        rivals.let_go([child.pid])
        os.waitid(os.P_PID, child.pid, os.WCONTINUED)
        child.kill()
        child.wait()
        rivals.hold([child.pid])  # nobody there

    def test_a_process_that_has_ended_is_an_error(self):
        with subprocess.Popen(["true"]) as child:
            child.wait()
        with self.assertRaises(OSError):
            procfs.read([child.pid])


@unittest.skipIf(os.environ.get("FLOTILLA_SANITIZE"), "figures of a sanitized build say nothing")
class Smoke(unittest.TestCase):
    def test_ours_on_a_file_has_figures(self):
        args = types.SimpleNamespace(bin=BIN, peers=ROOT / "build/interop", runs=1, seconds=0.3, without={})
        names = ["ours", "file", "echo", "alone"]
        rows = matrix.run(args, names)
        self.assertEqual([row["workload"] for row in rows], ["echo", "alone"])
        for row in rows:
            if not shutil.which("strace"):
                self.assertIn("strace", row.pop("calls_error"))
            self.assertNotIn("error", row)
            for figure in [row["workflowsPerSecond"], row["p50Ms"], row["idle"]["rss_mb"],
                           *[row["used"][side]["cpu_s_per_1000"] for side in ("worker", "server")]]:
                self.assertGreater(figure, 0)
        text = "\n".join(matrix.sections(rows))
        self.assertRegex(text, r"\| echo \| engine, file \| ours \| [\d.]+ \|")
        self.assertFalse(re.search("FAILED|None|nan", text), text)


if __name__ == "__main__":
    unittest.main()
