#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What activities cost, as `flotilla top` and `flotilla recommend` show it; threads that are stuck, or full."""
import json
import os
import pathlib
import signal
import unittest

from support import BIN, SANITIZED, FleetTest, flotilla, get, ready, run, wait_for

MODULES = BIN.absolute().parent / "tests/modules"
MIB = 1 << 20


def metric(worker, name):
    """The samples of a family on the worker's page: {labels: value}."""
    page = get(worker.address("metrics"), "/metrics")[1]
    return {line[len(name):].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in page.splitlines() if line.startswith(name) and line[len(name)] in "{ "}


def request(queue, activity, value, timeout_ms=30000):
    return json.dumps({"queue": queue, "activity": activity, "input": value, "start_to_close_ms": timeout_ms,
                       "attempts": 1})


class Costs(FleetTest):
    def start_fleet(self):
        """`flotilla up` with a worker of each role; its fleet.json."""
        folder = pathlib.Path(self.fleet.folder.name)
        workers = []
        for name, role, module in [("flows", "workflow-worker", "outcomes"), ("io", "io-activity-worker", "costs"),
                                   ("cpu", "cpu-activity-worker", "costs")]:
            (folder / f"{name}.yaml").write_text(
                f"task_queue: {name}\nmodules: [{{path: {MODULES}/{module}.so, unchecked: true}}]\nhealth: {{port: 0}}\n"
                "metrics: {port: 0}\nsupervisor: {interval: 200ms}\n" + ("executor: {workers: 2}\n" if name != "flows" else ""))
            workers.append(f"  - {{name: {name}, program: {BIN.absolute()}/{role}, config: {folder}/{name}.yaml}}\n")
        (folder / "fleet.yaml").write_text(
            f"state_dir: {folder}/state\nengine: {{program: {BIN.absolute()}/flotilla-engine, listen: \"127.0.0.1:0\"}}\n"
            "workers:\n" + "".join(workers) + "health: {port: 0}\nmetrics: {port: 0}\n")
        up = self.fleet.start("flotilla up", [BIN / "flotilla", "up", "-c", folder / "fleet.yaml"])
        page = up.address("http")
        wait_for(lambda: get(page, "/ready")[0] == 200, "the fleet's readiness")
        fleet = folder / "state/fleet.json"
        self.fleet.target = json.loads(fleet.read_text())["server"]
        return page, fleet

    def run_one(self, workflow_id, queue, activity, value):
        code, _, err = flotilla(self.fleet.target, "start", "--type", "RunOne", "-t", "flows", "-w", workflow_id,
                                "-i", request(queue, activity, value))
        self.assertEqual(code, 0, err)
        code, out, err = flotilla(self.fleet.target, "result", workflow_id)
        self.assertEqual(code, 0, err)
        return json.loads(out)["result"]

    def top(self, fleet):
        code, out, err = run("flotilla", "top", "--fleet", fleet, "--output", "json")
        self.assertEqual((code, err), (0, ""))
        answer = json.loads(out)
        return answer, {(t["role"], t["type"]): t for t in answer["types"]}

    def types_of(self, fleet, role, name, count):
        """The type's figures once so many attempts are in them."""
        return wait_for(lambda: (t := self.top(fleet)[1].get((role, name))) and t["count"] == count and t,
                        f"{count} {name} in the figures of {role}")

    def test_costs_agree_with_the_kernel(self):
        page, fleet = self.start_fleet()
        code, out, err = run("flotilla", "recommend", "--fleet", fleet)
        self.assertEqual(code, 1)
        self.assertIn("too little data", out)
        self.assertIn("nothing can be recommended yet", err)

        for role, queue in [("io-activity", "io"), ("cpu-activity", "cpu")]:
            spent = sum(self.run_one(f"burn-{queue}-{i}", queue, "burn", {"ms": 150}) for i in range(3)) / 1e9
            burn = self.types_of(fleet, role, "burn", 3)
            self.assertAlmostEqual(burn["cpuSeconds"], spent, delta=0.1 * spent + 0.01, msg=role)
            self.assertGreaterEqual(burn["cpuSeconds"], burn["systemCpuSeconds"])
            self.assertGreaterEqual(burn["p99"], burn["p50"])
            self.assertGreater(burn["p50"], 0.05)
        self.assertEqual(self.top(fleet)[1]["io-activity", "burn"]["maxRssBytes"], 0)  # of threads it is not known

        peak = self.run_one("allocate", "cpu", "allocate", {"mib": 64}) * 1024
        allocate = self.types_of(fleet, "cpu-activity", "allocate", 1)
        self.assertGreaterEqual(allocate["maxRssBytes"], 64 * MIB)
        self.assertAlmostEqual(allocate["maxRssBytes"], peak, delta=8 * MIB)
        if not SANITIZED:  # which keep what is freed
            burn = self.top(fleet)[1]["cpu-activity", "burn"]
            self.assertLess(burn["maxRssBytes"], 32 * MIB)

        processes = {p["name"]: p for p in self.top(fleet)[0]["processes"]}
        self.assertGreaterEqual(processes["cpu"]["cpuMs"], 400)  # executors are part of it
        self.assertEqual((processes["io"]["role"], processes["io"]["state"], processes["io"]["slotsTotal"]),
                         ("io-activity", "up", 2))

        code, out, err = run("flotilla", "top", "--once", "--url", f"http://{page}/")
        self.assertEqual((code, err), (0, ""))
        for needle in ["PROCESS", "TYPE", "io-activity", "cpu-activity", "burn", "allocate", "RunOne", "/2 "]:
            self.assertIn(needle, out)

        for queue in ["io", "cpu"]:
            code, out, err = flotilla(self.fleet.target, "load", "--type", "RunOne", "-t", "flows", "--count", 30,
                                      "--concurrency", 4, "-i", request(queue, "burn", {"ms": 5}))
            self.assertEqual(code, 0, err)
            self.types_of(fleet, f"{queue}-activity", "burn", 33)
        answer = json.loads(run("flotilla", "recommend", "--fleet", fleet, "--output", "json")[1])
        roles = {role["role"]: role for role in answer["roles"]}
        self.assertEqual(sorted(roles), ["cpu-activity", "io-activity", "workflow"])
        cpu, io = roles["cpu-activity"], roles["io-activity"]
        self.assertTrue(cpu["enough"] and io["enough"], answer)
        self.assertEqual(cpu["requests"], cpu["limits"])
        self.assertEqual(cpu["requests"]["cpuMilli"], 2000)
        self.assertGreaterEqual(cpu["requests"]["memoryMiB"], 2 * 64)  # two executors, and one needed that much
        self.assertIsNone(io["limits"]["cpuMilli"])
        self.assertGreaterEqual(io["requests"]["cpuMilli"], 20)
        code, out, _ = run("flotilla", "recommend", "--fleet", fleet, "-o", "yaml")
        self.assertEqual(code, 0)
        self.assertIn("name: cpu-activity-worker", out)
        self.assertIn("cpu: null", out)
        code, out, _ = run("flotilla", "recommend", "--fleet", fleet)
        self.assertEqual(code, 0)
        self.assertIn("a core each", out)

    def test_no_fleet_is_one_sentence(self):
        missing = f"{self.fleet.folder.name}/fleet.json"
        for command in ["top", "recommend"]:
            code, out, err = run("flotilla", command, "--fleet", missing)
            self.assertEqual((code, out, len(err.splitlines())), (66, "", 1), err)
            code, out, err = run("flotilla", command, "--url", "http://127.0.0.1:1/")
            self.assertEqual((code, out, len(err.splitlines())), (69, "", 1), err)
        code, _, err = run("flotilla", "top", "--output", "yaml")
        self.assertEqual(code, 64)


class Threads(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        ready(self.fleet.worker("workflow-worker", f"{MODULES}/outcomes.so", "flows"))
        self.io = self.fleet.worker("io-activity-worker", f"{MODULES}/costs.so", "io", executor__grace="200ms")
        ready(self.io)

    def start(self, activity, value, timeout_ms):
        code, _, err = flotilla(self.fleet.target, "start", "--type", "RunOne", "-t", "flows", "-w", activity,
                                "-i", request("io", activity, value, timeout_ms))
        self.assertEqual(code, 0, err)

    def test_stuck_thread_is_named_until_it_returns(self):
        release = pathlib.Path(self.fleet.folder.name) / "release"
        self.start("deaf", {"release": str(release)}, timeout_ms=300)
        said = json.loads(self.io.said('"event":"executor.stuck"'))
        self.assertEqual((said["level"], said["thread"], said["activity_type"], said["workflow_id"], said["reason"]),
                         ("warn", "io-0", "deaf", "deaf", "timed_out"))
        self.assertGreaterEqual(said["told_ms"], 200)
        self.assertRegex(said["doing"], "sleeping|computing")  # it looks for the file again and again
        stuck = lambda: list(metric(self.io, "flotilla_executor_stuck").values())  # noqa: E731
        wait_for(lambda: stuck() == [1], "a page with the stuck thread")  # a page may be a second old
        code, page = get(self.io.address("http"), "/health")
        self.assertEqual(code, 503)
        self.assertIn("io-0", page)
        self.assertIn("deaf", page)
        release.touch()
        back = json.loads(self.io.said('"event":"executor.unstuck"'))
        self.assertEqual((back["thread"], back["activity_type"]), ("io-0", "deaf"))
        wait_for(lambda: get(self.io.address("http"), "/health")[0] == 200, "health again")
        wait_for(lambda: stuck() == [0], "a page without it")

    def test_full_stack_is_named(self):
        self.start("overflow", None, timeout_ms=5000)
        said = json.loads(self.io.said('"event":"executor.fault"'))
        self.assertEqual((said["level"], said["thread"], said["signal"], said["activity_type"], said["workflow_id"]),
                         ("error", "io-0", "SEGV", "overflow", "overflow"))
        self.assertIn("stack is full", said["msg"])
        self.io.child.wait(30)
        self.assertNotEqual(self.io.stop(), 0)
        if not SANITIZED:
            self.assertEqual(self.io.child.returncode, -signal.SIGSEGV)
        self.fleet.processes.remove(self.io)


if __name__ == "__main__":
    unittest.main()
