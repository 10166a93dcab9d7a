# SPDX-License-Identifier: Apache-2.0
"""A supervisor under test and the peers that tests pretend to be."""
import json
import os
import pathlib
import re
import socket
import stat
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from support import BIN, Process, get, wait_for  # noqa: E402
import zeromq  # noqa: E402

SAMPLE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*",?)*\})? '
                    r"(NaN|[+-]Inf|[-+0-9.e]+)$")


def snapshot(boot=None, seq=1, identity="peer", **members):
    """One that is good, but for what the test changes."""
    frame = {"v": 1, "type": "snapshot", "boot": boot or str(uuid.uuid4()), "seq": seq, "identity": identity,
             "role": "io-activity", "name": "", "version": "1", "server": "s", "namespace": "default",
             "task_queue": "q", "http": "", "state": "running", "pid": 1, "started_ms": 1, "cpu_ms": 1,
             "rss_bytes": 1, "threads": 1, "ready": True, "done": 0, "failed": 0, "polls": 0, "slots": [],
             "metrics": [{"n": "peer_total", "k": "c", "l": ["q"], "s": [[["a"], 3]]}], "left_out": 0}
    frame.update(members)
    return frame


def text(frame):
    return json.dumps(frame, separators=(",", ":")).encode()


def metric(value, name="peer_total"):
    return [{"n": name, "k": "c", "l": [], "s": [[[], value]]}]


class SupervisorTest(unittest.TestCase):
    """Each test has a folder, a ZeroMQ context, and a supervisor when it calls start()."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="flotilla-peers-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.context = zeromq.Context()
        self.addCleanup(self.context.close)
        self.keys = None

    def start(self, endpoint="", **settings):
        sets = {"state_dir": self.path / "state", "health.port": 0, "metrics.port": 0, **settings}
        if endpoint:
            sets["supervisor.endpoint"] = endpoint
        process = Process("supervisor", [BIN / "flotilla-supervisor",
                                         *[x for k, v in sets.items() for x in ("--set", f"{k}={v}")]])
        self.addCleanup(lambda: self.assertIn(process.stop(), (0, -9), process.output[-20:]))
        started = process.said("supervisor.started")
        self.supervisor, self.http = process, process.address("http")
        self.endpoint = re.search(r'"endpoint":"([^"]+)"', started)[1]
        return process

    def start_with_keys(self):
        folder = self.path / "keys"
        subprocess.run([BIN / "flotilla", "keys", "generate", "--dir", folder, "io-activity", "workflow"], check=True,
                       stdout=subprocess.DEVNULL)
        self.keys = folder
        self.start("tcp://127.0.0.1:*", **{
            "supervisor.curve.secret_key_file": folder / "supervisor.secret",
            "supervisor.curve.allowed_keys_dir": folder / "allowed"})
        self.port = int(self.endpoint.rsplit(":", 1)[1])

    def pair(self, name):
        """The keys of an allowed peer."""
        return ((self.keys / f"{name}.secret").read_text().strip(),
                (self.keys / f"allowed/{name}.public").read_text().strip(), self.server_key())

    def server_key(self):
        return (self.keys / "supervisor.public").read_text().strip()

    def peer(self, **options):
        return self.context.dealer(self.endpoint, **options)

    def tcp(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    # ---- what the supervisor says ----

    def page(self):
        status, body = get(self.http, "/metrics")
        self.assertEqual(status, 200)
        for line in body.splitlines():
            self.assertTrue(line.startswith("#") or SAMPLE.match(line), line)
        return body

    def value(self, name, **labels):
        """The sum of the samples of that name with these labels."""
        lines = [line for line in self.page().splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines
                   if all(f'{k}="{v}"' in line for k, v in labels.items()))

    def bad(self, reason):
        return self.value("flotilla_fleet_bad_frames_total", reason=reason)

    def processes(self):
        return json.loads(get(self.http, "/v1/fleet")[1])["processes"]

    def by_boot(self, boot):
        return next((p for p in self.processes() if p["boot"] == boot), None)

    def heard(self, boot, state="running"):
        return wait_for(lambda: (self.by_boot(boot) or {}).get("state") == state and self.by_boot(boot),
                        f"{boot} is {state}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.supervisor.child.pid}/fd"))

    def resident_kb(self):
        status = pathlib.Path(f"/proc/{self.supervisor.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def good_peer_is_heard(self, **options):
        """Whatever was done to it, the supervisor serves an honest peer."""
        boot = str(uuid.uuid4())
        peer = self.peer(**options)
        peer.send(text(snapshot(boot, identity="honest")))
        self.heard(boot)
        return peer, boot


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)
