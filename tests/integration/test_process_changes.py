#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happens to a fleet on one machine: changed files, crash loops, a killed supervisor, logs that fill their files."""
import json
import os
import re
import signal
import subprocess
import unittest

from processes import ROLE_YAML, WORKERS, ProcessesTest, alive
from support import BIN, wait_for


class ProcessChanges(ProcessesTest):
    def test_changed_files(self):
        """Only what a change concerns is replaced; a bad file changes nothing."""
        self.up()
        before = self.pids()
        self.assertIn("none was replaced", self.good("restart", "--changed"))
        self.good("list")  # no --address: the server of the fleet that runs here
        self.assertEqual(self.pids(), before)
        (self.dir / "config/io.yaml").write_text(ROLE_YAML + "executor: {grace: 2s}\n")
        self.assertIn("io: 1 of 1 replaced", self.good("restart", "--changed"))
        self.write(WORKERS.replace("name: wf", "nmae: wf"))
        code, _, err = self.cli("restart")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"config/fleet.yaml:\d+:\d+: .*nmae")
        self.write(WORKERS + "  - {name: more, program: io-activity-worker, config: io.yaml, count: 2}\n")
        os.kill(self.ps()["supervisor"]["pid"], signal.SIGHUP)
        wait_for(lambda: len(self.pids("more")) == 2, "the new worker")
        wait_for(lambda: self.pids("io")["io"] != before["io"] and len(self.pids()) == 5, "the old one's end")
        self.assertEqual(self.pids("wf"), {"wf": before["wf"]})
        self.write(WORKERS)
        self.good("restart", "--changed")
        wait_for(lambda: sorted(self.pids()) == ["engine", "io", "wf"], "the removed worker's end")
        # A YAML file that the worker refuses: the old process goes on.
        now = self.pids()
        (self.dir / "config/io.yaml").write_text(ROLE_YAML + "no_such_setting: 1\n")
        code, _, err = self.cli("restart", "--changed")
        self.assertEqual(code, 1)
        self.assertIn("io: given up: io does not become ready: it ended with exit code 78", err)
        self.assertEqual(self.pids(), now)
        self.all_good(self.load("--count", 20))

    def test_changed_module(self):
        """restart_on_change: a module that is replaced is loaded by a new process."""
        module = self.dir / "config/echo.so"
        built = (BIN.parent / "modules/echo.so").read_bytes()
        module.write_bytes(built)
        (self.dir / "config/io.yaml").write_text(ROLE_YAML.replace("path: echo", f"path: {module}"))
        self.write(WORKERS, "restart_on_change: true\n")
        self.up()
        before = self.pids()
        fresh = self.dir / "config/echo.so.new"
        fresh.write_bytes(built)
        fresh.rename(module)
        wait_for(lambda: self.said("rolling_restart.done", "io"), "the replacement")
        wait_for(lambda: len(self.pids()) == 3 and self.pids()["io"] != before["io"], "the old one's end")
        self.assertEqual(self.pids()["wf"], before["wf"])

    def test_crash_loop(self):
        """It is shown and told of, the others work, and it is started again and again."""
        self.write(WORKERS + "  - {name: bad, program: /bin/false}\n")
        code, _, err = self.cli("up", "--detach", "--timeout", "2s")
        self.assertEqual(code, 75, err)
        self.assertIn("the fleet runs, but is not ready: bad is ", err)
        wait_for(lambda: self.said("process.crash_loop", "bad"), "the crash loop")
        bad = next(p for p in self.ps()["processes"] if p["name"] == "bad")
        self.assertTrue(bad["crash_loop"])
        self.assertIn("dies again and again", self.good("ps"))
        self.target = self.ps()["server"]
        self.all_good(self.load("--count", 20))
        ends = len(self.said("process.exited", "bad"))
        wait_for(lambda: len(self.said("process.exited", "bad")) > ends, "another try")
        self.assertEqual(len(self.said("process.crash_loop", "bad")), 1)
        # An engine that does not come back: who waits for it is told so.
        fleet = self.dir / "config/fleet.yaml"
        fleet.write_text(fleet.read_text().replace("engine: {", "engine: {program: /bin/false, "))
        code, _, err = self.cli("restart", "engine")
        self.assertEqual((code, err), (1, "flotilla restart: the engine dies again and again; 'flotilla logs engine' "
                                          "says why\n"))

    def test_kill_9_of_the_supervisor(self):
        """Replicas that were added end with it, too, and come back: nobody is left over."""
        self.up()
        self.good("scale", "io=3")
        before = self.pids()
        deaf = before["io-3"]
        os.kill(deaf, signal.SIGSTOP)
        os.kill(self.ps()["supervisor"]["pid"], signal.SIGKILL)
        wait_for(lambda: [pid for pid in before.values() if alive(pid)] == [deaf], "the end of the children")
        def back():
            code, out, _ = self.cli("ps", "-o", "json")
            return code == 0 and json.loads(out)["ready"]
        wait_for(back, "the fleet again")
        self.assertEqual(sorted(self.pids()), sorted(before))
        self.target = self.ps()["server"]
        self.all_good(self.load("--count", 20))
        last = list(self.pids().values()) + [self.ps()["supervisor"]["pid"]]
        self.good("down")
        self.assertEqual([pid for pid in last if alive(pid)], [])
        wait_for(lambda: not alive(deaf), "the end of who does not listen, with the fleet")
        self.up()
        self.assertEqual(sorted(self.pids("io")), ["io"])  # an orderly end forgets the number

    def test_logs_of_any_bytes(self):
        """As JSON, too; and names that do not go with --changed."""
        logs = self.dir / ".flotilla/logs"
        logs.mkdir(parents=True)
        (logs / "io.log").write_bytes(b"2026-11-21T18:52:03.123456789Z stdout F caf\xe9\n")
        line = json.loads(self.good("logs", "-o", "json"))
        self.assertEqual(line, {"process": "io", "time": "2026-11-21T18:52:03.123456789Z", "stream": "stdout",
                                "text": "caf?"})
        self.assertEqual(self.cli("restart", "--changed", "io")[0], 64)

    def test_logs_follow_over_rotation(self):
        self.write(WORKERS, "logs: {max_size: 2KiB, keep: 2}\n")
        self.up()
        follow = subprocess.Popen([str(BIN / "flotilla"), "logs", "-f", "-n", "0", "io"], cwd=self.dir, text=True,
                                  stdout=subprocess.PIPE)
        try:
            started = []
            for _ in range(4):  # each says more than half of what a file holds
                self.good("restart", "io")
                started.append(str(self.pids()["io"]))
            seen = []
            for line in follow.stdout:
                self.assertTrue(line.startswith("io | "), line)
                if '"event":"worker.started"' in line:
                    seen.append(re.search(r'"worker_identity":"(\d+)@', line)[1])
                if seen and seen[-1] == started[-1]:
                    break
            self.assertEqual(seen, started)
        finally:
            follow.kill()
            follow.wait()
            follow.stdout.close()
        files = {f.name: f.stat().st_size for f in (self.dir / ".flotilla/logs").glob("io.log*")}
        self.assertEqual(sorted(files), ["io.log", "io.log.1", "io.log.2"])
        self.assertLessEqual(max(files.values()), 2048)


if __name__ == "__main__":
    unittest.main()
