#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet on one machine and the commands for it, with real workers under load: up --detach, ps, logs, restart, scale,
down."""
import json
import unittest

from processes import WORKERS, ProcessesTest, alive
from support import run, wait_for


class Processes(ProcessesTest):
    def test_from_a_fresh_folder(self):
        code, _, err = self.cli("ps")
        self.assertEqual(code, 69)
        self.assertIn("no fleet runs in .flotilla", err)
        self.assertEqual(self.cli("restart")[0], 69)
        self.assertEqual(self.cli("scale", "io=2")[0], 69)
        self.assertEqual(self.cli("logs")[0], 66)
        self.assertIn("no fleet runs", self.good("down"))
        self.up()
        code, _, err = self.cli("up", "--detach")
        self.assertEqual(code, 73, err)
        self.assertIn("a fleet runs in .flotilla already", err)
        table = self.good("ps").splitlines()
        self.assertEqual([line.split()[0] for line in table], ["NAME", "supervisor", "engine", "wf", "io"])
        self.assertRegex(table[4], r"^io +io-activity +\d+ +up +yes +0 ")
        rows = self.ps()
        self.assertTrue(rows["ready"])
        self.assertEqual([(p["name"], p["role"], p["ready"]) for p in rows["processes"]],
                         [("engine", "engine", True), ("wf", "workflow", True), ("io", "io-activity", True)])
        self.all_good(self.load("--count", 20))
        lines = self.good("logs").splitlines()
        for name in ["supervisor", "engine    ", "wf        ", "io        "]:
            self.assertTrue(any(line.startswith(f"{name} | ") for line in lines), f"{name}: {lines}")
        self.assertEqual({line.split(" | ")[0] for line in self.good("logs", "io", "-n", 3).splitlines()}, {"io"})
        stamps = [json.loads(line)["time"] for line in self.good("logs", "-o", "json").splitlines()]
        self.assertEqual(stamps, sorted(stamps))
        self.assertEqual(self.cli("logs", "nobody")[0], 66)
        pids = list(self.pids().values()) + [rows["supervisor"]["pid"]]
        self.assertIn("has ended", self.good("down"))
        self.assertEqual([pid for pid in pids if alive(pid)], [])
        self.assertFalse((self.dir / ".flotilla/fleet.json").exists())

    def test_up_tells_why_not(self):
        self.write("\n  - {name: io, program: io-activity-worker, config: absent.yaml}\n")
        code, out, err = self.cli("up", "--detach")
        self.assertEqual(code, 66, err)
        self.assertIn("absent.yaml", out)
        self.assertIn("the fleet has ended (exit code 66)", err)
        self.write(WORKERS.replace("name: io", "nmae: io"))
        code, _, err = self.cli("up", "--detach")
        self.assertEqual(code, 78)
        self.assertRegex(err, r"config/fleet.yaml:\d+:\d+: ")
        self.assertEqual(self.cli("up", "--detach", "--timeout", "soon")[0], 64)

    def test_restart_under_load(self):
        """Every worker is replaced while workflows run; none of them fails."""
        self.up()
        self.good("scale", "io=2")
        before = self.pids()
        batch = self.load("--count", 600, "--concurrency", 20)
        out = self.good("restart")
        self.assertIn("io: 2 of 2 replaced", out)
        self.assertIn("wf: 1 of 1 replaced", out)
        self.good("restart", "io-2")
        self.all_good(batch)
        wait_for(lambda: len(self.pids()) == 4, "the old ones' end")
        after = self.pids()
        self.assertEqual(before["engine"], after["engine"])
        self.assertFalse(set(before.values()) & set(after.values()) - {before["engine"]})
        code, out, err = self.cli("restart", "nobody")
        self.assertEqual(code, 66, f"{out}{err}\n{self.log()}")
        self.assertIn("engine: replaced", self.good("restart", "engine"))
        self.all_good(self.load("--count", 20))

    def test_scale_under_load(self):
        self.up()
        batch = self.load("--count", 600, "--concurrency", 20)
        self.assertIn("io: 3 of 3 ready", self.good("scale", "io-activity=3", "wf=2"))
        self.assertEqual(sorted(self.pids("io")), ["io", "io-2", "io-3"])
        self.assertEqual(sorted(self.pids("wf")), ["wf", "wf-2"])
        self.good("scale", "io=1", "wf=1")
        self.all_good(batch)
        wait_for(lambda: sorted(self.pids()) == ["engine", "io", "wf"], "the others' end")
        self.assertEqual([e["exit_code"] for e in self.said("process.exited")], [0, 0, 0])
        for wish in ["io", "io=", "io=-1", "=2"]:
            self.assertEqual(self.cli("scale", wish)[0], 64, wish)
        self.assertEqual(self.cli("scale", "nobody=2")[0], 66)
        self.assertEqual(self.cli("scale", "io=1000")[0], 1)

    def test_down_now(self):
        self.up()
        pids = self.pids()
        self.good("down", "--now")
        self.assertEqual([pid for pid in pids.values() if alive(pid)], [])

    def test_help(self):
        for command in ["up", "down", "ps", "logs", "restart", "scale"]:
            code, out, _ = run("flotilla", command, "--help")
            self.assertEqual(code, 0)
            self.assertIn("detach" if command == "up" else "--state-dir", out, command)


if __name__ == "__main__":
    unittest.main()
