#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`flotilla explain` of workflows that do not move, each for another reason. With TEMPORAL set: on the real server."""
import json
import signal
import unittest

from support import BIN, FleetTest, flotilla, ready, run, wait_for

OUTCOMES = next((str(p) for p in BIN.parent.glob("tests/**/outcomes.so")), "outcomes")


def one(queue, activity, value, attempts=1):
    return {"queue": queue, "activity": activity, "input": value, "start_to_close_ms": 60000, "attempts": attempts}


class Explain(FleetTest):
    def setUp(self):
        super().setUp()
        self.start_server()
        self.flows = self.fleet.worker("workflow-worker", f"{OUTCOMES} loadtest", "flows")
        self.io = self.fleet.worker("io-activity-worker", f"{OUTCOMES} loadtest", "io", shutdown_timeout="3s",
                                    executor__grace="500ms")
        ready(self.flows)
        ready(self.io)

    def begin(self, id_, type_, value, queue="flows"):
        code, _, err = flotilla(self.fleet.target, "start", "--type", type_, "-t", queue, "-w", id_, "-i",
                                json.dumps(value))
        self.assertEqual(code, 0, err)

    def explain(self, id_, *args, code=0):
        """[(kind, text)]; and that the text for people says the same."""
        got, out, err = flotilla(self.fleet.target, "explain", id_, "-o", "json", *args)
        self.assertEqual(got, code, f"{id_}: {out}{err}")
        return [(r["kind"], r["text"]) for r in json.loads(out)["reasons"]]

    def says(self, id_, kind, *parts):
        """Wait until the first reason is of that kind, and has these words."""
        reason = wait_for(lambda: next((r for r in self.explain(id_)[:1] if r[0] == kind), None),
                          f"{id_}: {kind}")
        for part in parts:
            self.assertRegex(reason[1], part)
        code, out, _ = flotilla(self.fleet.target, "explain", id_)
        self.assertEqual(code, 0)
        self.assertTrue(out.startswith(f"{id_} ("), out)
        return reason[1]

    def test_why_it_does_not_move(self):
        self.begin("done", "RunOne", one("io", "count", {}))
        self.says("done", "completed", "It completed at ")
        self.begin("failed", "TimerWorkflow", {})
        self.says("failed", "failed", r"It failed at .*: the input needs .* \(type InvalidInput\)")
        self.begin("backoff", "RunOne", one("io", "fail_until", {"until": 9, "delay_ms": 50000}, 9))
        self.says("backoff", "activity_backoff", r"It waits for activity fail_until on queue io: attempt 2 in (50|4\d) s "
                                                 r"\(of 9\), after \"attempt 1 \(type NotYet\)\"")
        self.begin("runs", "RunOne", one("io", "until_cancelled", {}))
        self.says("runs", "activity_running", "It waits for activity until_cancelled on queue io: running for .* on ")
        self.begin("nobody", "RunOne", one("nowhere", "count", {}))
        self.says("nobody", "activity_queued", "on queue nowhere: attempt 1 waits for a worker", "no worker polls it")
        self.begin("lonely", "RunOne", one("io", "count", {}), queue="desert")
        self.says("lonely", "workflow_task_queued", "waits for a worker on queue desert", "no worker polls it")
        self.begin("unknown", "NoSuchType", {})
        self.says("unknown", "workflow_task_failing", "fails again and again", "NoSuchType")
        self.begin("signal", "SignalWorkflow", {"n": 3})
        self.says("signal", "signal", "Nothing is pending: it waits for a signal or an update")
        self.begin("timer", "TimerWorkflow", {"n": 1, "ms": 3600000})
        self.says("timer", "timer", "It waits for a timer: .* fires in (60|59) min")
        flotilla(self.fleet.target, "cancel", "runs")
        wait_for(lambda: any(kind == "cancel_requested" or kind == "canceled" for kind, _ in self.explain("runs")),
                 "the request to cancel")
        for id_ in ["nobody", "lonely", "unknown", "signal", "timer"]:
            flotilla(self.fleet.target, "terminate", id_, "--reason", "enough of it")
        self.says("signal", "terminated", "It was terminated at .*, by flotilla:.*: enough of it")
        self.assertEqual(self.explain("nix", code=1)[0][0], "not_found")
        self.assertEqual(self.explain("done", "-n", "nowhere", code=1)[0][0], "no_namespace")

    def test_a_quiet_worker_is_no_poller(self):
        self.begin("before", "RunOne", one("io", "count", {}))
        self.says("before", "completed")
        self.io.child.send_signal(signal.SIGTSTP)
        self.io.said("worker.quiet")
        self.begin("waits", "RunOne", one("io", "count", {}))
        self.says("waits", "activity_queued", "on queue io: attempt 1 waits for a worker")
        wait_for(lambda: any("no poller, the last poll began" in text for _, text in self.explain("waits")), "no poller", 30)
        self.io.child.send_signal(signal.SIGCONT)
        self.says("waits", "completed")


class Away(unittest.TestCase):
    def test_server_away(self):
        code, out, _ = run("flotilla", "explain", "x", "--address", "127.0.0.1:1")
        self.assertEqual(code, 69)
        self.assertIn("The server at 127.0.0.1:1 cannot be reached", out)
        code, out, _ = run("flotilla", "explain", "x", "--address", "127.0.0.1:1", "-o", "json")
        self.assertEqual(json.loads(out)["reasons"][0]["kind"], "server_away")
        self.assertEqual(run("flotilla", "explain")[0], 64)


if __name__ == "__main__":
    unittest.main()
