#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The metrics pages of workers, engine and supervisor, read strictly: in each naming and both formats, idle and after work
with failures and hostile names; the bound on label sets; with promtool, its opinion too."""
import json
import pathlib
import shutil
import signal
import subprocess
import unittest

from support import BIN, FleetTest, finish_batch, flotilla, get, ready, start_batch, wait_for

import exposition  # beside what support imports

MODULE = BIN.absolute().parent / "tests/modules/outcomes.so"
FLOWS = ("flows", "workflow-worker")
NAMES = {"tally": ("temporal_request_total", "temporal_request_latency_seconds_bucket", "1"),
         "core": ("temporal_request", "temporal_request_latency_bucket", "1000"),
         "otel-go": ("temporal_request", "temporal_request_latency_seconds_bucket", "1")}
HOSTILE = 'odd"} 1\nup{x="\\ü'  # the name of an activity that nobody has


class Metrics(FleetTest):
    def start_fleet(self, naming="tally", more=""):
        """`flotilla up` with a worker of each role; {name: address of its /metrics}."""
        folder = pathlib.Path(self.fleet.folder.name)
        workers = []
        for name, role in [FLOWS, ("io", "io-activity-worker"), ("cpu", "cpu-activity-worker")]:
            (folder / f"{name}.yaml").write_text(
                f"task_queue: {name}\nmodules: [{{path: {MODULE}, unchecked: true}}]\nhealth: {{port: 0}}\nsupervisor: {{interval: 200ms}}\n"
                f"metrics: {{port: 0, naming: {naming}{more}}}\n" + ("executor: {workers: 2}\n" if name != "flows" else ""))
            workers.append(f"  - {{name: {name}, program: {BIN.absolute()}/{role}, config: {folder}/{name}.yaml}}\n")
        (folder / "fleet.yaml").write_text(
            f"state_dir: {folder}/state\nengine: {{program: {BIN.absolute()}/flotilla-engine, listen: \"127.0.0.1:0\", db: \"\"}}\n"
            "workers:\n" + "".join(workers) + f"health: {{port: 0}}\nmetrics: {{port: 0, naming: {naming}}}\n"
            "scaling: {backlog_interval: 100ms}\n")
        up = self.fleet.start("flotilla up", [BIN / "flotilla", "up", "-c", folder / "fleet.yaml"])
        wait_for(lambda: get(up.address("http"), "/ready")[0] == 200, "the fleet's readiness")
        described = json.loads((folder / "state/fleet.json").read_text())
        self.fleet.target = described["server"]
        pages = {p["name"]: p["http"] for p in described["processes"]}
        return {**pages, "supervisor": up.address("http")}

    def work(self, activity, queue="io", value=None):
        request = {"queue": queue, "activity": activity, "input": value, "start_to_close_ms": 20000, "attempts": 1,
                   "schedule_to_close_ms": 20000}
        code, out, err = flotilla(self.fleet.target, "start", "--type", "RunOne", "-t", "flows", "-i", json.dumps(request),
                                  "--wait")
        self.assertEqual(code, 0, f"{out}{err}")

    def load(self, count):
        request = {"queue": "io", "activity": "describe", "start_to_close_ms": 20000, "attempts": 1}
        batch = start_batch(self.fleet.target, "load", "--type", "RunOne", "-t", "flows", "--count", count,
                            "--concurrency", 20, "-i", json.dumps(request))
        report = finish_batch(self, batch)
        self.assertEqual((report["completed"], report["errors"]), (count, {}))

    def check_pages(self, pages, naming):
        """Each page in both formats; {name: families as text}."""
        found = {}
        for name, address in pages.items():
            for accept in [None, exposition.ACCEPT_OPENMETRICS]:
                kind, text = exposition.page(address, accept)
                self.assertEqual(kind, exposition.OPENMETRICS if accept else exposition.TEXT, name)
                families = exposition.check(kind, text, naming)
                if accept:  # the samples of before under the same names
                    names = {s[0] for f in families.values() for s in f.samples}
                    self.assertLessEqual({s[0] for f in found[name].values() for s in f.samples}, names, name)
                else:
                    found[name] = families
                    self.ask_promtool(text, naming, name)
        return found

    def ask_promtool(self, text, naming, name):
        if not shutil.which("promtool"):
            return
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        # One gauge is called as Temporal's server calls it.
        said = [line for line in (done.stdout + done.stderr).splitlines()
                if not line.startswith("approximate_backlog_count ")]
        if naming == "tally":
            self.assertEqual(said, [], name)
            return
        # The other namings leave out what it asks for: nothing else may be wrong.
        for line in said:
            self.assertRegex(line, r'^temporal_\w+ counter metrics should have "_total" suffix$', name)

    def check_naming(self, naming):
        counter, bucket, bound = NAMES[naming]
        pages = self.start_fleet(naming)
        self.check_pages(pages, naming)
        self.load(200)
        self.work("fail_typed")
        self.work("fail_typed", "cpu")
        self.work("count")
        self.work("count", "cpu")
        self.work(HOSTILE)
        found = self.check_pages(pages, naming)
        own = {"service_name": "flotilla"} if naming == "core" else {}
        self.assertGreaterEqual(exposition.value(found["flows"], counter, namespace="default", **own), 200)
        self.assertEqual(exposition.value(found["io"], bucket, operation="RespondActivityTaskCompleted", le=bound,
                                          **own), 201)
        self.assertEqual(exposition.value(found["io"], "activity_duration_seconds_count", activity_name="describe",
                                          status="success", error_type=""), 200)
        self.assertEqual(exposition.value(found["cpu"], "activity_duration_seconds_count", status="failure",
                                          activity_name="fail_typed", error_type="OrderRejected"), 1)
        self.assertEqual(exposition.value(found["io"], "outcomes_things_total", kind="own"), 2000)
        self.assertEqual(exposition.value(found["io"], "activity_duration_seconds_count", activity_name=HOSTILE), 1)
        # The default naming can be asked for whatever the setting; another one does not exist.
        text = get(pages["io"], "/metrics?naming=tally")[1]
        self.assertIn("\ntemporal_request_total{", text)
        self.assertEqual(get(pages["io"], "/metrics?naming=mine")[0], 400)
        # What the workers counted is on the supervisor's page, once they have reported it.
        wait_for(lambda: exposition.value(exposition.check(*exposition.page(pages["supervisor"]), naming),
                                          "activity_duration_seconds_count", role="io-activity",
                                          activity_name=HOSTILE) == 1, "the report")

    def test_tally(self):
        self.check_naming("tally")

    def test_core(self):
        self.check_naming("core")

    def test_otel_go(self):
        self.check_naming("otel-go")

    def test_label_sets_are_bounded(self):
        pages = self.start_fleet(more=", max_series: 16")
        for i in range(30):
            self.work(f"unknown-{i}")
        kind, text = exposition.page(pages["io"])
        found = exposition.check(kind, text)
        for family in found.values():
            series = {tuple(v for k, v in labels.items() if k != "le") for _, labels, _ in family.samples}
            self.assertLessEqual(len(series), 17, family.name)
        received = found["temporal_activity_task_received_total"].samples
        self.assertEqual(sum(number for _, _, number in received), 30)
        self.assertEqual(exposition.value(found, "temporal_activity_task_received_total", activity_type="other"), 14)
        self.assertEqual(exposition.value(found, "flotilla_metrics_series_dropped_total",
                                          metric="temporal_activity_task_received_total"), 14)
        said = [line for line in self.fleet.processes[0].output if "temporal_activity_task_received_total" in line]
        self.assertEqual(len(said), 1, said)

    def test_worker_without_a_supervisor_tells_the_depth(self):
        """What waits in its own queue, as the server says: 0, then what comes while it is quiet."""
        self.fleet.engine()
        worker = self.fleet.worker("workflow-worker", str(MODULE), "flows")
        ready(worker)
        page = worker.address("metrics")

        def depth():
            return exposition.value(exposition.check(*exposition.page(page)), "temporal_workflow_task_queue_depth",
                                    queue="flows", task_queue="flows")
        wait_for(lambda: depth() == 0, "no depth")
        worker.child.send_signal(signal.SIGTSTP)
        worker.said("worker.quiet")
        for i in range(3):
            flotilla(self.fleet.target, "start", "--type", "RunOne", "-t", "flows", "-i", '{"queue": "io", "activity": "x"}')
        wait_for(lambda: depth() == 3, "the depth")
        worker.child.send_signal(signal.SIGCONT)
        wait_for(lambda: depth() == 0, "no depth again")


if __name__ == "__main__":
    unittest.main()
