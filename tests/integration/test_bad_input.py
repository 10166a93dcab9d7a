#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mistakes of the person who runs it: one clear line, the right exit code, nothing half started."""
import pathlib
import socket
import tempfile
import unittest

from support import BIN, FleetTest, free_port, get, run, wait_for

WORKERS = ["workflow-worker", "io-activity-worker", "cpu-activity-worker"]
GOOD = 'server: {address: "127.0.0.1:1"}\ntask_queue: q\nmodules: [echo]\nhealth: {port: 0}\nmetrics: {port: 0}\n'


class BadInput(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="flotilla-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def config(self, text):
        path = self.folder / "worker.yaml"
        path.write_text(text)
        return path

    def refused(self, code, text, *needles):
        for worker in WORKERS:
            got, out, err = run(worker, "--config", self.config(text))
            self.assertEqual(got, code, f"{worker}: {err}")
            lines = [line for line in err.splitlines() if line.strip()]
            self.assertEqual(len(lines), 1, err)
            for needle in needles:
                self.assertIn(needle, lines[0])

    def test_unknown_key(self):
        self.refused(78, GOOD.replace("task_queue", "task_qeue"), "worker.yaml:2:1", "task_qeue", "did you mean", "task_queue")

    def test_wrong_type(self):
        self.refused(78, GOOD.replace("health: {port: 0}", "health: {port: high}"), "worker.yaml:4", "health.port")

    def test_out_of_range(self):
        self.refused(78, GOOD.replace("health: {port: 0}", "health: {port: 70000}"), "health.port", "65535")

    def test_duplicate_key(self):
        self.refused(78, GOOD + "task_queue: other\n", "worker.yaml:6:1", "task_queue")

    def test_bad_unit(self):
        self.refused(78, GOOD + "shutdown_timeout: 5\n", "shutdown_timeout")

    def test_absent_file(self):
        for worker in WORKERS:
            code, _, err = run(worker, "--config", self.folder / "absent.yaml")
            self.assertEqual(code, 66, err)
            self.assertIn("absent.yaml", err)

    def test_unknown_option(self):
        for program in [*WORKERS, "flotilla-engine", "flotilla-supervisor"]:
            code, _, err = run(program, "--no-such-option")
            self.assertEqual(code, 64, f"{program}: {err}")
            self.assertEqual(len(err.strip().splitlines()), 1, err)

    def test_help_and_version(self):
        for program in [*WORKERS, "flotilla-engine", "flotilla-supervisor", "flotilla"]:
            for option in ["--help", "--version"]:
                code, out, err = run(program, option)
                self.assertEqual((code, err), (0, ""), program)
                self.assertTrue(out.strip())

    def test_module_that_does_not_load(self):
        (self.folder / "not-elf.so").write_text("hello")
        for module in ["no-such-module", str(self.folder / "not-elf.so")]:
            code, _, err = run("io-activity-worker", "--config", self.config(GOOD.replace("echo", module)))
            self.assertEqual(code, 78, err)
            self.assertIn(pathlib.Path(module).name, err)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, _, err = run("io-activity-worker", "--config", self.config(GOOD), "--set", f"health.port={port}")
            self.assertEqual(code, 73, err)
            self.assertIn(str(port), err)
            code, _, err = run("flotilla-engine", "--listen", f"127.0.0.1:{port}")
            self.assertEqual(code, 73, err)
            self.assertIn(str(port), err)

    def test_print_config_names_sources(self):
        code, out, err = run("io-activity-worker", "--config", self.config(GOOD), "--set", "shutdown_timeout=7s",
                             "--print-config", env={"TEMPORAL_NAMESPACE": "blue"})
        self.assertEqual(code, 0, err)
        for needle in ["TEMPORAL_NAMESPACE", "blue", "worker.yaml:2", "7s", "default"]:
            self.assertIn(needle, out)


class Unreachable(FleetTest):
    def test_server_away_is_waited_for(self):
        """A worker without a server lives, says so once, is not ready; it works once the server is there."""
        port = free_port()
        self.fleet.target = f"127.0.0.1:{port}"
        worker = self.fleet.worker("io-activity-worker", "echo", "benchmark")
        address = worker.address("http")
        worker.said("Connection error")
        self.assertEqual(get(address, "/health")[0], 200)
        status, body = get(address, "/ready")
        self.assertEqual(status, 503)
        self.assertIn("server", body)
        engine = self.fleet.start("flotilla-engine", [BIN / "flotilla-engine", "--listen", self.fleet.target])
        engine.address("grpc")
        wait_for(lambda: get(address, "/ready")[0] == 200, "ready")
        self.assertEqual(sum("Connection error" in line for line in worker.output), 1, worker.output)


if __name__ == "__main__":
    unittest.main()
