# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: the built programs, HTTP, waiting for a condition."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from fleet import Fleet, Process, free_port  # noqa: E402,F401

BIN = pathlib.Path(os.environ.get("FLOTILLA_BIN", pathlib.Path(__file__).parents[2] / "build/release/bin")).absolute()
LICENCES = "/usr/share/common-licenses"
SANITIZED = bool(os.environ.get("FLOTILLA_SANITIZE"))


def get(address, path):
    """(status, body) of a GET."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(condition, what, timeout=30):
    """Wait until condition() is true and give its value back; the poll interval is no part of any promise."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what() if callable(what) else what} did not happen within {timeout} s")


def ready(process):
    return wait_for(lambda: get(process.address("http"), "/ready")[0] == 200, f"{process.name} ready")


def run(program, *args, env=None, cwd=None, timeout=60):
    """A program to its end: (exit code, stdout, stderr)."""
    done = subprocess.run([str(BIN / program), *map(str, args)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, cwd=cwd, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


BATCHES = []  # what start_batch started, for the end of a test that failed before their end


def unhurried(err):
    """What a command said, but for why it had to wait: on a slow machine it may have to."""
    return "".join(line for line in err.splitlines(True) if not line.startswith("flotilla: still waiting: "))


def start_batch(target, command, *args):
    """`flotilla documents` or `load` in the background, answering in JSON."""
    batch = subprocess.Popen([str(BIN / "flotilla"), command, "--address", target, "--output", "json", *map(str, args)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    BATCHES.append(batch)
    return batch


def finish_batch(test, batch, timeout=200):
    out, err = batch.communicate(timeout=timeout)
    test.assertEqual(batch.returncode, 0, f"{err}\n{out[-3000:]}")
    return json.loads(out)


def flotilla(target, *args, timeout=60):
    code, out, err = run("flotilla", args[0], "--address", target, *args[1:], timeout=timeout)
    return code, out, err


class FleetTest(unittest.TestCase):
    """A test with a fleet of its own; what still runs at the end is stopped and must exit 0."""

    def setUp(self):
        self.fleet = Fleet(BIN)
        self.addCleanup(self.stop_fleet)

    def start_server(self):
        """The engine; with TEMPORAL, the path of its command line, a real server, once it answers."""
        self.fleet.temporal = os.environ.get("TEMPORAL")
        if not self.fleet.temporal:
            return self.fleet.engine()
        server = self.fleet.real_server()
        wait_for(lambda: flotilla(self.fleet.target, "list")[0] == 0, "the real server", 60)
        return server

    def stop_fleet(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", []) if error) \
            if hasattr(self, "_outcome") and hasattr(self._outcome, "errors") else not self._outcome.success
        try:
            self.fleet.__exit__(Exception if failed else None, None, None)
        finally:
            for batch in BATCHES:
                if batch.poll() is None:
                    batch.kill()
                    batch.communicate()
            for process in self.fleet.processes:
                if process.child.poll() is None:
                    process.child.kill()
