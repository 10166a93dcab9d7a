#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Activities that do their worst in a CPU worker's processes: they lose their attempt, and nobody else notices."""
import base64
import collections
import json
import os
import pathlib
import signal
import sys
import time
import unittest
import uuid

from support import BIN, FleetTest, SANITIZED, flotilla, get, ready, wait_for

MODULES = BIN.parent / "tests/modules"
CRASH = "ApplicationCrash"
# What each kind ends with: a failure's type and a part of its message, or None for a good end.
ENDS = {
    "segv": (CRASH, "signal 11 (SIGSEGV) at address 0x10"),
    "abort": (CRASH, "signal 6 (SIGABRT)"),
    "exit": (CRASH, "exited with status"),
    "_exit": (CRASH, "exited with status 0"),
    "overflow": (CRASH, "signal 11 (SIGSEGV)"),
    "trap": (CRASH, "SIG"),
    "kill": (CRASH, "signal 9 (SIGKILL)"),
    "eat": (CRASH, ""),
    "close": (CRASH, "exited with status 0"),
    "spin": ("Timeout", ""),
    "print": ("Timeout", ""),
    "bomb": None,
    "fork": None,
    "open": None,
    "good": None,
}
SLOW = ("spin", "print")


def status(pid, key):
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return line.split(":", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def descriptors(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def metric(worker, name):
    """The samples of a family on the worker's page: {labels: value}."""
    page = get(worker.address("http"), "/metrics")[1]
    return {line[len(name):].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in page.splitlines() if line.startswith(name) and line[len(name)] in "{ "}


def recycled(worker):
    return metric(worker, "flotilla_executor_recycled_total")


class Hostile(FleetTest):
    def setUp(self):
        super().setUp()
        self.mark = f"FLOTILLA_TEST_MARK={uuid.uuid4()}"  # inherited by whatever an activity starts
        name, value = self.mark.split("=")
        os.environ[name] = value
        self.addCleanup(os.environ.pop, name)
        self.engine = self.fleet.engine()
        ready(self.fleet.worker("workflow-worker", str(MODULES / "storm.so"), "storm"))

    def cpu(self, executors, **settings):
        """A CPU worker whose executors are up."""
        worker = self.fleet.worker("cpu-activity-worker", str(MODULES / "hostile.so"), "cpu", **{
            "executor__workers": executors, "max_concurrent_activities": executors or 1,
            "max_concurrent_activity_task_polls": 4, "quarantine__crashes": 0, "executor__grace": "200ms", **settings})
        ready(worker)
        return worker

    def marked(self):
        """All live processes that carry the mark; a zombie's environment is empty, so those are looked for by parent."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "comm").read_text().strip()
            except (OSError, ProcessLookupError):
                continue
        return found

    def zombies(self, parents):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and (status(entry.name, "State") or ["?"])[0] == "Z":
                if int(status(entry.name, "PPid")[0]) in parents:
                    found.append(entry.name)
        return found

    def executors(self, worker):
        """{pid: name} of a worker's executor processes."""
        template = [pid for pid, name in self.marked().items()
                    if name == "template" and int(status(pid, "PPid")[0]) == worker.child.pid]
        return {pid: name for pid, name in self.marked().items()
                if "-exec-" in name and template and int((status(pid, "PPid") or [0])[0]) == template[0]}

    def storm(self, tasks, **more):
        """Start a workflow that runs the tasks; its id."""
        name = f"storm-{uuid.uuid4()}"
        told = json.dumps({"queue": "cpu", "tasks": tasks, **more})
        code, out, err = flotilla(self.fleet.target, "start", "-w", name, "--type", "StormWorkflow", "-t", "storm",
                                  "-i", told)
        self.assertEqual(code, 0, err + out)
        return name

    def result(self, name):
        code, out, err = flotilla(self.fleet.target, "result", "-o", "json", name, timeout=200)
        self.assertEqual(code, 0, err + out)
        answer = json.loads(out)
        return answer if isinstance(answer, list) else answer["result"]

    def failures(self, name):
        """The failures of a workflow's activities, from its history."""
        code, out, err = flotilla(self.fleet.target, "history", "-o", "json", name)
        self.assertEqual(code, 0, err)
        return [event["activityTaskFailedEventAttributes"]["failure"] for event in json.loads(out)["events"]
                if "activityTaskFailedEventAttributes" in event]

    def check(self, kind, answer):
        end = ENDS[kind]
        if end is None:
            self.assertIn("ok", answer, f"{kind}: {answer}")
            return
        kinds = {end[0]} if end[0] == CRASH else {end[0], "StartToClose", "TimeoutType"}
        self.assertIn(answer.get("type"), kinds, f"{kind}: {answer}")
        if not SANITIZED:
            self.assertIn(end[1], answer["message"], kind)

    def test_hundred_hostile_beside_hundred_good(self):
        """All good ones complete; the worker, its memory, its slots and its processes are as before."""
        executors = 8
        limits = {} if SANITIZED else {"executor__limits__memory": "48MiB"}
        worker = self.cpu(executors, executor__pin="false", executor__limits__open_files=64, **limits)
        kinds = [k for k in ENDS if k != "good" and (k not in ("eat", "overflow") or not SANITIZED)]
        hostile = [k for k in kinds if k not in SLOW]
        tasks = ["spin"] * 5 + ["print"] * 5
        tasks += [hostile[i % len(hostile)] for i in range(90)]
        tasks = [task for pair in zip(tasks, ["good"] * 100) for task in pair]
        self.result(self.storm(["good"] * 40))
        before = self.marked()
        rss, open_files = int(status(worker.child.pid, "VmRSS")[0]), descriptors(worker.child.pid)
        answers = self.result(self.storm(tasks, timeout_ms=4000 if SANITIZED else 2000))
        self.assertEqual(len(answers), 200)
        for kind, answer in zip(tasks, answers):
            self.check(kind, answer)
        self.assertEqual(worker.child.poll(), None)
        again = self.result(self.storm(["good"] * 100))
        self.assertEqual([a.get("ok") for a in again], list(range(100)))
        wait_for(lambda: len(self.executors(worker)) == executors, "all executors")
        try:
            wait_for(lambda: collections.Counter(self.marked().values()) == collections.Counter(before.values()),
                     "nothing but the executors")
        except AssertionError:
            self.assertEqual(sorted(self.marked().values()), sorted(before.values()))
            raise
        self.assertEqual(self.zombies({worker.child.pid, *self.marked()}), [])
        self.assertLessEqual(descriptors(worker.child.pid), open_files + 2)
        if not SANITIZED:
            self.assertLess(int(status(worker.child.pid, "VmRSS")[0]), rss + 2048)

    def test_crash_is_told_with_backtrace(self):
        """Signal, address, functions with file and line, the exit status, and what was printed."""
        self.cpu(2)
        name = self.storm(["segv"])
        self.result(name)
        failure = self.failures(name)[0]
        self.assertEqual(failure["applicationFailureInfo"]["type"], CRASH)
        details = self.details(failure)
        self.assertEqual((details["signal"], details["signal_number"], details["code"], details["address"]),
                         ("SIGSEGV", 11, "SEGV_MAPERR", "0x10"))
        frames = details["backtrace"]
        self.assertEqual([f["module"] for f in frames[:2]], ["hostile.so"] * 2)
        self.assertTrue(all(f["offset"].startswith("0x") for f in frames))
        if "file" in frames[0]:  # elfutils is there, and debug information
            self.assertEqual([f["function"] for f in frames[:2]], ["by_segv", "hostile"])
            self.assertTrue(frames[0]["file"].endswith("hostile.c"), frames[0])
            self.assertGreater(frames[0]["line"], 0)
            self.assertIn("by_segv at ", failure["stackTrace"])
            shown = flotilla(self.fleet.target, "history", name)[1]
            self.assertRegex(shown, r"ACTIVITY_TASK_FAILED  Activity executor died: signal 11 .*\n +by_segv at \S+:\d+ ")
        name = self.storm(["abort"])
        self.result(name)
        self.assertIn("about to abort", self.details(self.failures(name)[0])["output"])
        name = self.storm(["exit"])
        self.result(name)
        details = self.details(self.failures(name)[0])
        self.assertIsInstance(details["exit_status"], int)
        self.assertIn("by_exit", [f.get("function", "by_exit") for f in details["backtrace"]])

    def details(self, failure):
        payload = failure["applicationFailureInfo"]["details"]["payloads"][0]
        return json.loads(base64.b64decode(payload["data"]))

    @unittest.skipIf(SANITIZED, "a sanitizer's runtime may hold SIGTERM back")
    def test_time_out_says_where_it_hung(self):
        worker = self.cpu(1)
        self.check("spin", self.result(self.storm(["spin"], timeout_ms=500))[0])
        self.assertIn("spin", json.loads(worker.said("activity.dropped"))["stack"])

    @unittest.skipIf(SANITIZED, "a sanitizer's runtime has its own memory")
    def test_limits_say_so(self):
        self.cpu(1, executor__limits__memory="64MiB", executor__limits__cpu_time="1s")
        name = self.storm(["eat", "spin"])
        answers = self.result(name)
        self.assertIn("memory limit of 64 MiB", answers[0]["message"])
        self.assertIn("CPU limit of 1 s", answers[1]["message"])
        self.assertEqual({a["type"] for a in answers}, {CRASH})
        self.assertEqual({self.details(f)["limit"] for f in self.failures(name)}, {"memory", "cpu"})

    @unittest.skipIf(SANITIZED, "a sanitizer's runtime has its own memory")
    def test_leaks_fail_no_other(self):
        """Good activities among a thousand that leak: none meets a limit, worn processes are replaced in order."""
        worker = self.cpu(2, executor__limits__memory="48MiB", executor__limits__open_files=64)
        self.assertEqual([a.get("ok") for a in self.result(self.storm(["good"] * 200))], list(range(200)))
        self.assertEqual(recycled(worker), {})
        before = self.executors(worker)
        tasks = ["leak", "leak_descriptor", "leak", "good", "leak_descriptor"] * 50
        storms = [self.storm(tasks) for _ in range(5)]
        for answers in map(self.result, storms):
            self.assertEqual([a for a in answers if "ok" not in a], [])
        wait_for(lambda: len(self.executors(worker)) == 2, "both executors")
        self.assertFalse(set(before) & set(self.executors(worker)))
        said = json.loads(worker.said('"event":"executor.recycled"'))
        self.assertEqual((said["activity_type"], said["reason"] in ("memory", "descriptors")), ("hostile", True))
        self.assertGreaterEqual(sum(recycled(worker).values()), 8)
        self.assertEqual(sum(metric(worker, "flotilla_activity_crashed_total").values()), 0)

    def test_executor_is_replaced_after_max_jobs(self):
        worker = self.cpu(1, executor__max_jobs=10)
        pids = [a["ok"] for a in self.result(self.storm(["pid"] * 50))]
        self.assertEqual(sorted(collections.Counter(pids).values()), [10] * 5)
        self.assertEqual(list(recycled(worker).values()), [5])
        self.assertIn('reason="jobs"', next(iter(recycled(worker))))

    def test_worker_killed_leaves_nothing(self):
        """kill -9 of the worker: no template, executor or descendant of an activity lives on; tasks go elsewhere."""
        worker = self.cpu(2)
        name = self.storm(["hang_once"] * 2, timeout_ms=60000, heartbeat_ms=2500, attempts=3)
        worker.said("hanging")
        wait_for(lambda: "hanging" in "\n".join(worker.output).split("hanging", 1)[1], "both attempts at work")
        others = {p.child.pid for p in self.fleet.processes if p is not worker}
        theirs = set(self.marked()) - others
        self.assertGreater(len(theirs), 2 + 2 + 1)
        killed = time.monotonic()
        worker.child.kill()
        wait_for(lambda: not (set(self.marked()) - others), "the end of all that the worker had", timeout=10)
        took, load = time.monotonic() - killed, os.getloadavg()[0]
        worker.stop(signal.SIGKILL)
        self.fleet.processes.remove(worker)
        judged = not SANITIZED and load < 2 * len(os.sched_getaffinity(0))
        print(f"all {len(theirs)} processes of a killed worker were gone after {took:.3f} s (load average {load:.1f}"
              f"{'' if judged else ', not judged'})", file=sys.stderr)
        if judged:
            self.assertLess(took, 1)
        self.cpu(2)
        self.assertTrue(all(a.get("ok", 0) > 1 for a in self.result(name)))

    def test_executors_are_pinned_one_a_core(self):
        cores = sorted(os.sched_getaffinity(0))
        worker = self.cpu(len(cores))
        pinned = sorted(status(pid, "Cpus_allowed_list")[0] for pid in self.executors(worker))
        self.assertEqual(pinned, sorted(str(core) for core in cores))

    def test_default_is_one_executor_a_core(self):
        worker = self.cpu(0)
        self.assertGreaterEqual(len(self.executors(worker)), 1)
        self.assertLessEqual(len(self.executors(worker)), len(os.sched_getaffinity(0)))

    def test_io_worker_in_processes(self):
        """The IO role with isolation: process survives the same."""
        worker = self.fleet.worker("io-activity-worker", str(MODULES / "hostile.so"), "cpu", executor__workers=3,
                                   max_concurrent_activities=3, executor__isolation="process", quarantine__crashes=0)
        ready(worker)
        answers = self.result(self.storm(["segv", "good", "abort", "good"]))
        self.assertEqual([a.get("type", "ok") for a in answers], [CRASH, "ok", CRASH, "ok"])


if __name__ == "__main__":
    unittest.main()
