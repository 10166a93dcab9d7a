#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Interceptors, headers that travel and metrics of workflow code in real workers, with the cache and without one."""
import json
import unittest

from support import BIN, FleetTest, flotilla, get, ready

MODULE = BIN.parent / "tests/modules/intercept.so"
LABELS = 'namespace="default",task_queue="intercept",workflow_type="Headers"'


class Interceptors(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()

    def worker(self, role, **settings):
        worker = self.fleet.worker(role, str(MODULE), "intercept", **settings)
        ready(worker)
        return worker

    def cli(self, *args, code=0):
        done = flotilla(self.fleet.target, *args)
        self.assertEqual(done[0], code, f"{args}: {done}")
        return done

    def begin(self, type_, id_, value):
        self.cli("start", "--type", type_, "-t", "intercept", "-w", id_, "-i", json.dumps(value))

    def page(self, worker):
        return get(worker.address("metrics"), "/metrics")[1].splitlines()

    def work(self, **settings):
        worker = self.worker("workflow-worker", propagate_headers="fleet", **settings)
        self.worker("io-activity-worker")
        self.begin("Begin", "begin", {"name": "acme"})
        seen = {"tenant": {"name": "acme"}, "stamp": "Headers", "fleet": 9}
        self.assertEqual(json.loads(self.cli("result", "begin")[1]), {"local": seen, "here": seen, "there": None,
                                                                      "child": None})
        for line in (f'header_runs_total{{{LABELS},where="here"}} 1', f"header_depth{{{LABELS}}} 2.5",
                     f"header_size_sum{{{LABELS}}} 3", f'header_size_bucket{{{LABELS},le="5"}} 1',
                     f'header_size_bucket{{{LABELS},le="2.5"}} 0'):
            self.assertIn(line, self.page(worker))
        worker.said("A metric is not counted (temporal_mine)")
        self.begin("Headers", "bare", {})
        self.assertIn("Headers needs a tenant", self.cli("result", "bare", code=1)[2])

    def test_cached(self):
        self.work()

    def test_uncached(self):
        self.work(sticky_cache__max_entries=0)


if __name__ == "__main__":
    unittest.main()
