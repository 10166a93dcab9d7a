#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A worker's life: stopping with work in its hands, being quiet, saying what it did."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import unittest

from support import BIN, FleetTest, flotilla, get, ready, run, wait_for

MODULE = BIN.parent / "tests/modules/lifecycle.so"
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
FLOWS, WORK = "life", "life-work"


def metric(worker, name):
    """The sum of a family's samples on the worker's page."""
    page = get(worker.address("metrics"), "/metrics")[1]
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
               if line.startswith(name) and line[len(name)] in "{ ")


def last_words(worker):
    """The counts of the last log line."""
    line = worker.said('"event":"worker.stopped"')
    return json.loads(line)


class Lifecycle(FleetTest):
    def setUp(self):
        super().setUp()
        self.engine = self.start_server()

    def flow_worker(self, **settings):
        worker = self.fleet.worker("workflow-worker", str(MODULE), FLOWS, **settings)
        ready(worker)
        return worker

    def work_worker(self, role="io-activity-worker", **settings):
        worker = self.fleet.worker(role, str(MODULE), WORK, **settings)
        ready(worker)
        return worker

    def start_naps(self, workflow, naps):
        code, _, err = flotilla(self.fleet.target, "start", "--workflow-id", workflow, "--type", "NapsWorkflow",
                                "--task-queue", FLOWS, "--input", json.dumps({"queue": WORK, "naps": naps}))
        self.assertEqual(code, 0, err)

    def result(self, workflow):
        code, out, err = flotilla(self.fleet.target, "result", workflow)
        self.assertEqual(code, 0, err)
        return int(out.split()[-1])

    def events(self, workflow):
        code, out, err = flotilla(self.fleet.target, "history", workflow, "--output", "json")
        self.assertEqual(code, 0, err)
        return json.loads(out)["events"]

    def drain_with_fifty(self, role, **settings):
        """SIGTERM while fifty naps of random length run: those that end in time are reported, the rest handed back
        with their last heartbeat, and what the last line says is what the history says."""
        print(f"SEED={SEED}", flush=True)
        naps = [random.Random(SEED + i).randrange(1000, 4500) for i in range(50)]
        self.flow_worker()
        first = self.work_worker(role, max_concurrent_activities=50, max_concurrent_activity_task_polls=10,
                                 identity="first", shutdown_timeout="3s", **settings)
        self.start_naps("fifty", naps)
        wait_for(lambda: metric(first, "temporal_activity_task_received_total") == 50, "fifty naps")
        self.assertEqual(first.stop(signal.SIGTERM, timeout=6), 0, first.output[-5:])
        counts = last_words(first)
        self.work_worker(max_concurrent_activities=50, max_concurrent_activity_task_polls=10,
                         executor__workers=50, identity="second")
        self.assertEqual(self.result("fifty"), counts["completed"] + 1001 * counts["cut"])
        self.agree(counts, self.events("fifty"))
        return counts

    def agree(self, counts, events):
        by_first = [e for e in events
                    if e.get("activityTaskCompletedEventAttributes", {}).get("identity") == "first"]
        handed_back = [e["activityTaskStartedEventAttributes"] for e in events
                       if e.get("activityTaskStartedEventAttributes", {}).get("attempt", 1) > 1]
        self.assertEqual(counts["completed"], len(by_first))
        self.assertEqual(counts["cut"], len(handed_back))
        for started in handed_back:
            self.assertEqual(started["attempt"], 2)
            self.assertEqual(started["lastFailure"]["applicationFailureInfo"]["type"], "WorkerShutdown")
        self.assertEqual(counts["completed"] + counts["cut"], 50)
        for none in ("failed", "cancelled", "unwanted", "unreported", "abandoned", "retried"):
            self.assertEqual(counts[none], 0, none)

    def test_fifty_running_on_threads(self):
        counts = self.drain_with_fifty("io-activity-worker", executor__workers=50, executor__grace="300ms")
        self.assertGreater(counts["cut"], 0)

    def test_fifty_running_in_processes(self):
        self.drain_with_fifty("cpu-activity-worker", executor__workers=50, executor__pin="false",
                              executor__grace="300ms")

    def test_quiet_and_resume(self):
        """SIGTSTP: what runs ends, nothing new comes, the process stays and says why it is not ready; SIGCONT ends
        that. Both worker kinds, several times."""
        flows, work = self.flow_worker(), self.work_worker(log__summary_interval="200ms")
        for i in range(2):
            self.start_naps(f"before-{i}", [600])
            wait_for(lambda: metric(work, "temporal_worker_task_slots_used") == 1, "the nap")
            work.child.send_signal(signal.SIGTSTP)
            wait_for(lambda: get(work.address("http"), "/ready")[0] == 503, "quiet")
            self.assertIn("quiet", get(work.address("http"), "/ready")[1])
            self.assertEqual(get(work.address("http"), "/health")[0], 200)
            self.assertEqual(self.result(f"before-{i}"), 1)
            self.start_naps(f"after-{i}", [1])
            wait_for(lambda: metric(work, "temporal_num_pollers") == 0, "no polls")
            wait_for(lambda: "ACTIVITY_TASK_SCHEDULED" in flotilla(self.fleet.target, "history", f"after-{i}")[1],
                     "the task in the queue")
            flows.child.send_signal(signal.SIGTSTP)
            wait_for(lambda: get(flows.address("http"), "/ready")[0] == 503, "the other one quiet")
            self.assertNotIn("ACTIVITY_TASK_STARTED", flotilla(self.fleet.target, "history", f"after-{i}")[1])
            work.child.send_signal(signal.SIGCONT)
            flows.child.send_signal(signal.SIGCONT)
            for worker in (work, flows):
                ready(worker)
            self.assertEqual(self.result(f"after-{i}"), 1)
        self.assertIn('"state":"quiet"', work.said("j_complete="))

    def test_quiet_before_the_server_is_there(self):
        """A signal that comes first counts."""
        self.engine.stop()
        self.fleet.processes.remove(self.engine)
        work = self.fleet.worker("io-activity-worker", str(MODULE), WORK)
        work.said("server.unreachable")
        work.child.send_signal(signal.SIGTSTP)
        work.said("worker.quiet")
        self.fleet.start("flotilla-engine", [self.fleet.bin / "flotilla-engine", "--listen", self.fleet.target])
        work.said("Worker started")
        self.assertIn("quiet", get(work.address("http"), "/ready")[1])
        work.child.send_signal(signal.SIGCONT)
        ready(work)

    def test_second_signal_takes_the_executors_along(self):
        """Two signals to stop: the worker is gone at once, and so are the processes of its activities."""
        self.flow_worker()
        work = self.work_worker("cpu-activity-worker", executor__workers=2, max_concurrent_activities=2)
        self.start_naps("long", [30000, 30000])
        wait_for(lambda: metric(work, "temporal_worker_task_slots_used") == 2, "the naps")
        group = os.getpgid(work.child.pid)
        work.child.send_signal(signal.SIGTERM)
        work.said("Worker stopping")
        self.assertEqual(work.stop(signal.SIGTERM), 128 + signal.SIGTERM)
        self.fleet.processes.remove(work)

        def gone():
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return True
            return False
        wait_for(gone, "the end of the executors", 5)

    def test_process_one_of_a_container(self):
        """Process 1 of a PID namespace gets only signals that it handles: ours all do."""
        unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("this machine makes no namespaces")
        config = pathlib.Path(self.fleet.folder.name) / "one.yaml"
        config.write_text(f"server: {{address: \"{self.fleet.target}\"}}\ntask_queue: q\nmodules: [echo]\n"
                          "health: {port: 0}\nmetrics: {port: 0}\n")
        work = self.fleet.start("one", [*unshare, BIN / "io-activity-worker", "-c", config])
        ready(work)
        inside = int(pathlib.Path(f"/proc/{work.child.pid}/task/{work.child.pid}/children").read_text().split()[0])
        self.assertIn("NSpid:\t%d\t1" % inside, pathlib.Path(f"/proc/{inside}/status").read_text())
        os.kill(inside, signal.SIGTSTP)
        wait_for(lambda: get(work.address("http"), "/ready")[0] == 503, "quiet")
        os.kill(inside, signal.SIGCONT)
        ready(work)
        os.kill(inside, signal.SIGTERM)
        work.said("Worker stopped")
        self.assertEqual(work.child.wait(10), 0)

    def fleet_up(self):
        """`flotilla up` with two workers: its fleet.json, read."""
        folder = pathlib.Path(self.fleet.folder.name)
        for role, queue in (("workflow", "q"), ("io-activity", "q")):
            (folder / f"{role}.yaml").write_text(f"task_queue: {queue}\nmodules: [echo]\nhealth: {{port: 0}}\n"
                                                 "metrics: {port: 0}\n")
        (folder / "fleet.yaml").write_text(
            f"state_dir: {folder}/state\nengine: {{enabled: false}}\nserver: {{address: \"{self.fleet.target}\"}}\n"
            "health: {port: 0}\nmetrics: {port: 0}\nworkers:\n"
            "  - {name: flow, program: workflow-worker, config: workflow.yaml}\n"
            "  - {name: io, program: io-activity-worker, config: io-activity.yaml, count: 2}\n")
        self.fleet.start("flotilla up", [BIN / "flotilla", "up", "-c", folder / "fleet.yaml"])
        path = folder / "state/fleet.json"

        def complete():
            fleet = json.loads(path.read_text()) if path.exists() else {"processes": []}
            return fleet if len(fleet["processes"]) == 3 and all(p["http"] for p in fleet["processes"]) else None
        return path, wait_for(complete, "the fleet")

    def test_drain_and_resume_commands(self):
        """By name, by role, all; a process id that is somebody else's now is left alone."""
        path, fleet = self.fleet_up()
        pages = {p["name"]: p["http"] for p in fleet["processes"]}

        def quiet(*names):
            wait_for(lambda: all(('"quiet":{"ok":false' in get(page, "/ready")[1]) == (name in names)
                                 for name, page in pages.items()), f"only {names} quiet")

        def command(*args):
            return run("flotilla", *args, "--fleet", path)
        for page in pages.values():
            wait_for(lambda page=page: get(page, "/ready")[0] == 200, "ready")
        code, out, err = command("drain", "io-1")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("polls no more", out)
        quiet("io-1")

        def reported():
            report = json.loads(get(fleet["http"], "/v1/fleet")[1])
            return {p["name"]: p.get("worker_state") for p in report["processes"]} == {
                "flow": "running", "io-1": "quiet", "io-2": "running"}
        wait_for(reported, "the report to the supervisor")
        wait_for(lambda: "io-1 is quiet" in get(fleet["http"], "/ready")[1], "the supervisor says it")
        self.assertRegex(command("top", "--once")[1], r"\nio-1 +io-activity +quiet .*\nio-2 +io-activity +up ")
        self.assertEqual(command("drain", "workflow")[0], 0)
        quiet("io-1", "flow")
        self.assertEqual(command("resume", "io-activity-worker", "flow")[0], 0)
        quiet()
        self.assertEqual(command("drain", "io")[0], 0)
        quiet("io-1", "io-2")
        code, out, _ = command("resume", "-o", "json")
        self.assertEqual((code, len(json.loads(out))), (0, 3))
        quiet()
        code, out, err = command("drain", "nobody")
        self.assertEqual((code, out), (66, ""))
        self.assertIn("no worker 'nobody'", err)
        fleet["processes"][0]["pid"] = os.getpid()
        old = path.with_name("old.json")
        old.write_text(json.dumps(fleet))
        code, _, err = run("flotilla", "drain", fleet["processes"][0]["name"], "--fleet", old)
        self.assertEqual(code, 1)
        self.assertIn("belongs to another process", err)
        code, _, err = run("flotilla", "resume", "--fleet", "/none")
        self.assertEqual(code, 66)
        self.assertIn("kubectl exec", err)

    def test_drain_after_an_upgrade(self):
        """The programs were replaced while they run: workers are still known by their roles, the engine is still none."""
        folder = pathlib.Path(self.fleet.folder.name)
        fleet = {"pid": os.getpid(), "processes": []}
        for name, program in (("a", "io-activity-worker"), ("b", "flotilla-engine")):
            shutil.copy("/bin/sleep", folder / program)
            child = subprocess.Popen([folder / program, "60"])
            self.addCleanup(lambda child=child: (child.kill(), child.wait()))
            (folder / program).unlink()
            fleet["processes"].append({"name": name, "pid": child.pid})
        (folder / "fleet.json").write_text(json.dumps(fleet))
        for args in ((), ("io-activity",)):
            code, out, err = run("flotilla", "drain", *args, "--output", "json", "--fleet", folder / "fleet.json")
            self.assertEqual((code, [p["name"] for p in json.loads(out)]), (0, ["a"]), err)

    def test_summary_line(self):
        """Only when there is something to say, with what waits at the server."""
        self.flow_worker()
        work = self.work_worker(log__summary_interval="100ms", max_concurrent_activities=1, executor__workers=1)
        self.start_naps("three", [400, 400, 400])
        work.said("j_complete=0 j_failed=0 j_retried=0 j_ongoing=1 queued=2")
        self.assertEqual(self.result("three"), 3)
        work.said("j_complete=3 j_failed=0 j_retried=0 j_ongoing=0 queued=0")
        lines = sum("j_complete=" in line for line in work.output)
        self.start_naps("one", [1])
        self.assertEqual(self.result("one"), 1)
        work.said("j_complete=4 ")
        self.assertLessEqual(sum("j_complete=3" in line for line in work.output[-lines:]), 2)


if __name__ == "__main__":
    unittest.main()
