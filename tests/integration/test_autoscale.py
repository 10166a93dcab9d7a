#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet that follows its load: the depth of its queues, replicas up and down again, and who asks for them."""
import json
import pathlib
import re
import signal
import unittest

from support import BIN, FleetTest, Process, finish_batch, get, run, start_batch, wait_for

FLEET = """
state_dir: {folder}/state
engine: {{listen: "127.0.0.1:0", db: ""}}
workers:
  - name: workflow
    program: workflow-worker
    config: worker.yaml
  - name: io
    program: io-activity-worker
    config: worker.yaml
    autoscale: {{min: 1, max: 3, up_backlog: 2, down_backlog: 1}}
    set: {{max_concurrent_activities: 2, executor.workers: 2}}
scaling: {{backlog_interval: 200ms, cooldown: 1s, settle: 5s}}
health: {{port: 0}}
metrics: {{port: 0}}
"""
LATE = """  - name: late
    program: workflow-worker
    config: worker.yaml
    count: 0
    autoscale: {{min: 0, max: 2}}
    set: {{task_queue: late}}
"""
WORKER = """
task_queue: benchmark
modules: [{path: loadtest}]
health: {port: 0}
metrics: {port: 0}
"""
DEPTH = re.compile(r'^temporal_activity_task_queue_depth\{(.*)\} (\S+)$', re.M)


class Autoscale(FleetTest):
    def start(self, fleet=FLEET):
        folder = pathlib.Path(self.fleet.folder.name)
        (folder / "fleet.yaml").write_text(fleet.format(folder=folder))
        (folder / "worker.yaml").write_text(WORKER)
        self.supervisor = self.fleet.start("supervisor", [BIN / "flotilla-supervisor", "--local", "--config",
                                                          folder / "fleet.yaml"])
        self.http = self.supervisor.address("http")
        wait_for(lambda: get(self.http, "/ready")[0] == 200, "a ready fleet")
        self.fleet.target = json.loads(get(self.http, "/v1/fleet")[1])["server"]

    def scale(self, path=""):
        status, text = get(self.http, f"/v1/scale{path}")
        self.assertEqual(status, 200, text)
        return json.loads(text)

    def depths(self):
        return DEPTH.findall(get(self.http, "/metrics")[1])

    def changes(self):
        """[(from, to)] of the io worker, as the log has them."""
        lines = [json.loads(line) for line in self.supervisor.output if '"worker.autoscaled"' in line]
        return [(line["from"], line["to"]) for line in lines]

    def test_follows_the_load(self):
        self.start()
        load = start_batch(self.fleet.target, "load", "--type", "io_simulation", "--tasks", 60, "--concurrency", 60,
                           "--param", "operations=1", "--param", "io=wait", "--param", "delay_ms=300")
        said = self.supervisor.said('"worker.autoscaled"')
        self.assertIn("more than 2 for each of 1 replica", said)
        # One element, as KEDA wants it, and the same figure wherever it stands.
        depth = wait_for(self.depths, "a depth")
        self.assertEqual(len(depth), 1, depth)
        self.assertIn('queue="benchmark",task_queue="benchmark"', depth[0][0])
        wait_for(lambda: self.scale("/io")["ready"] == 3, "three replicas")
        report = finish_batch(self, load)
        self.assertEqual((report["completed"], report["failed"]), (60, 0), report)
        wait_for(lambda: self.scale("/io")["replicas"] == 1, "one replica again")
        io = wait_for(lambda: (found := self.scale("/io"))["known"] and found["backlog"] == 0 and found, "no backlog")
        self.assertEqual((io["in_flight"], io["active"], io["desired_replicas"]), (0, False, 1), io)
        self.assertEqual(self.depths()[0][1], "0")
        # Up in one go or two, then down; never up again.
        steps = [to > before for before, to in self.changes()]
        self.assertEqual(sorted(steps, reverse=True), steps, self.changes())
        events = json.loads(get(self.http, "/v1/events")[1])["events"] if get(self.http, "/v1/events")[0] == 200 else []
        if events:
            self.assertIn("worker.autoscaled", {event["kind"] for event in events})

    def test_by_hand(self):
        """A count set by hand is taken over within the bounds, held for the cool-down, then the policy goes on."""
        self.start(FLEET.replace("cooldown: 1s", "cooldown: 3s"))
        state = pathlib.Path(self.fleet.folder.name) / "state"
        code, out, err = run("flotilla", "scale", "--state-dir", state, "io=3")
        self.assertEqual(code, 0, err + out)
        wait_for(lambda: "set by hand" in self.scale("/io")["reason"], "a count that is held")
        self.assertEqual(self.scale("/io")["replicas"], 3)
        wait_for(lambda: self.scale("/io")["replicas"] == 1, "the policy's count again")
        self.assertEqual(self.changes()[0][0], 3)
        for count in ["io=5", "io=0"]:
            code, out, err = run("flotilla", "scale", "--state-dir", state, count)
            self.assertNotEqual(code, 0, out)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertIn("it follows its load with 1 to 3 (autoscale.min, autoscale.max)", err)
        self.assertEqual(self.scale("/io")["replicas"], 1)

    def test_reload(self):
        """The queue of a worker that a reload brings is asked about before a process of it runs: work starts the first."""
        self.start()
        folder = pathlib.Path(self.fleet.folder.name)
        late = LATE + "scaling:"
        (folder / "fleet.yaml").write_text(FLEET.replace("scaling:", late).format(folder=folder))
        self.supervisor.child.send_signal(signal.SIGHUP)
        wait_for(lambda: any(queue["queue"] == "late" and queue["known"] for queue in self.scale()["queues"]), "the queue")
        found = wait_for(lambda: (found := self.scale("/late"))["known"] and found, "a known backlog")
        self.assertEqual((found["replicas"], found["desired_replicas"], found["queues"]), (0, 0, ["late"]), found)

    def test_pages(self):
        self.start()
        whole = wait_for(lambda: (found := self.scale())["connected"] and found, "a connection")
        self.assertEqual(set(whole["roles"]), {"workflow", "io-activity"})
        self.assertEqual(set(whole["workers"]), {"workflow", "io"})
        wait_for(lambda: all(queue["known"] for queue in self.scale()["queues"]), "all queues known")
        self.assertEqual({(queue["queue"], queue["type"]) for queue in self.scale()["queues"]},
                         {("benchmark", "workflow"), ("benchmark", "activity")})
        self.assertEqual(self.scale("/workflow")["role"], "workflow")
        self.assertNotIn("worker", self.scale("/workflow"))
        self.assertEqual(self.scale("/worker/workflow")["worker"], "workflow")
        self.assertEqual(self.scale("/io-activity?queue=benchmark")["slots"], 2)
        self.assertEqual(self.scale("/io-activity?queue=other")["slots"], 0)
        for path in ["/nothing", "/worker/nothing", "/worker/"]:
            status, text = get(self.http, f"/v1/scale{path}")
            self.assertEqual(status, 404, text)
            self.assertIn("error", json.loads(text))

    def test_unknown_is_absent(self):
        """While the server is away nobody knows the depth: no series, no 0, and nothing is scaled."""
        engine = self.fleet.engine()
        fleet = FLEET.replace('engine: {{listen: "127.0.0.1:0", db: ""}}',
                              f'engine: {{{{enabled: false}}}}\nserver: {{{{address: "{self.fleet.target}"}}}}')
        self.start(fleet)
        wait_for(self.depths, "a depth")
        engine.stop()
        self.fleet.processes.remove(engine)
        wait_for(lambda: not self.depths(), "no depth")
        io = wait_for(lambda: not (found := self.scale("/io"))["known"] and found, "an unknown backlog")
        self.assertEqual((io["known"], io["backlog"], io["replicas"], io["desired_replicas"]), (False, None, 1, 1), io)
        self.assertEqual(io["reason"], "how many tasks wait is not known: the count stays")

    def test_worker_alone(self):
        """Without a supervisor a worker asks for its own queues; with one, or when told so, it does not."""
        self.fleet.engine()
        alone = self.fleet.worker("workflow-worker", "loadtest", "alone")
        silent = self.fleet.worker("workflow-worker", "loadtest", "silent", metrics__queue_depth="false")
        wanted = 'temporal_workflow_task_queue_depth{namespace="default",queue="alone",task_queue="alone"} 0'
        wait_for(lambda: wanted in get(alone.address("http"), "/metrics")[1], "a depth")
        self.assertNotIn("task_queue_depth", get(silent.address("http"), "/metrics")[1])


if __name__ == "__main__":
    unittest.main()
