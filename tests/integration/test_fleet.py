#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Steering a real fleet: the control API of the supervisor, `flotilla fleet` and `flotilla top`."""
import http.client
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import unittest

from support import BIN, Process, get, run, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from screen import Screen  # noqa: E402

COMMAND = {"target": "io", "command": "quiet"}


class Fleet(unittest.TestCase):
    """One fleet for all tests of a class: engine, one workflow worker, two for IO."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="flotilla-fleet-")
        cls.state = pathlib.Path(cls.folder.name) / "state"
        config = pathlib.Path(cls.folder.name) / "fleet.yaml"
        worker = pathlib.Path(cls.folder.name) / "worker.yaml"
        worker.write_text("task_queue: benchmark\nmodules: [{path: echo}]\nhealth: {port: 0}\nmetrics: {port: 0}\n")
        config.write_text(f"state_dir: {cls.state}\nengine: {{listen: \"127.0.0.1:0\", db: \"\"}}\n"
                          "supervisor: {allowed_hosts: [fleet.example]}\n"
                          "health: {port: 0}\nmetrics: {port: 0}\nworkers:\n"
                          "  - {name: wf, program: workflow-worker, config: worker.yaml}\n"
                          "  - {name: io, program: io-activity-worker, config: worker.yaml, count: 2}\n")
        cls.config = config
        cls.start()

    @classmethod
    def start(cls):
        cls.supervisor = Process("fleet", [BIN / "flotilla", "up", "--config", cls.config])
        cls.http = cls.supervisor.address("http")
        wait_for(lambda: get(cls.http, "/ready")[0] == 200, "the fleet ready", 60)
        cls.token = (cls.state / "control.token").read_text().strip()

    @classmethod
    def tearDownClass(cls):
        code = cls.supervisor.stop()
        cls.folder.cleanup()
        assert code == 0, "\n".join(cls.supervisor.output[-40:])

    def cli(self, *args, code=0):
        got, out, err = run("flotilla", *args, "--fleet", self.state / "fleet.json")
        self.assertEqual(got, code, f"{args}: {out}{err}")
        return out

    def processes(self):
        return {p["name"]: p for p in json.loads(self.cli("fleet", "ls", "-o", "json"))["processes"]}

    def fleet(self):
        return json.loads(get(self.http, "/v1/fleet")[1])

    def state_of(self, name):
        return self.processes()[name].get("worker_state")


class Control(Fleet):
    def post(self, path, body, **headers):
        """(status, JSON of the answer, headers) of a POST with the token, unless headers say otherwise."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        connection = http.client.HTTPConnection(self.http, timeout=20)
        connection.request("POST", path, body if isinstance(body, (bytes, str)) else json.dumps(body),
                           {k.replace("_", "-"): v for k, v in sent.items() if v is not None})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text), answer.headers

    def test_who_may(self):
        self.assertEqual(stat.S_IMODE((self.state / "control.token").stat().st_mode), 0o600)
        self.assertEqual(len(self.token), 64)
        status, answer, headers = self.post("/v1/commands", COMMAND, Authorization=None)
        self.assertEqual((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="flotilla"'))
        self.assertIn("token", answer["error"])
        self.assertEqual(self.post("/v1/commands", COMMAND, Authorization="Bearer " + "0" * 64)[0], 403)
        self.assertEqual(self.post("/v1/commands", COMMAND, Host="evil.example")[0], 403)
        self.assertEqual(self.post("/v1/commands", COMMAND, Origin="http://evil.example")[0], 403)
        for host in ["fleet.example", "fleet.example:80", "localhost", "[::1]:8080"]:
            self.assertEqual(self.post("/v1/commands", {**COMMAND, "target": "nix"}, Host=host)[0], 404, host)
        self.assertEqual(self.post("/v1/commands", COMMAND, Content_Type="text/plain")[0], 415)
        self.assertEqual(self.post("/v1/processes", {"action": "stop", "name": "io"}, Authorization=None)[0], 401)
        for name, process in self.processes().items():
            if name != "engine":
                self.assertEqual(process["worker_state"], "running", name)
        for _ in range(12):
            status = self.post("/v1/commands", COMMAND, Authorization="Bearer x")[0]
        self.assertEqual(status, 429)
        self.assertEqual(self.post("/v1/commands", {"target": "nix", "command": "quiet"})[0], 404)  # ours goes on
        self.assertNotIn("Access-Control-Allow-Origin", headers)
        self.assertIn("flotilla_control_denied_total{reason=\"wrong_token\"", get(self.http, "/metrics")[1])
        self.assertFalse([line for line in self.supervisor.output if self.token in line])
        denied = self.supervisor.said('"event":"control.denied"')
        self.assertIn('"remote":"127.0.0.1:', denied)

    def test_what_is_asked(self):
        for body in ["", "[]", "{", "{}", '{"target": "io"}', {**COMMAND, "force": True},
                     {**COMMAND, "args": {"x": 1}}, {**COMMAND, "command": "reboot"}, b"\xff\xfe"]:
            status, answer, _ = self.post("/v1/commands", body)
            self.assertEqual(status, 400, body)
            self.assertTrue(answer["error"])
        self.assertEqual(self.post("/v1/commands", b'"' + b"x" * 70000 + b'"')[0], 413)
        self.assertEqual(get(self.http, "/v1/commands")[0], 405)

    def test_targets_and_answers(self):
        everyone = self.processes()
        one = everyone["io-2"]
        for target, names in [("io", ["io-1", "io-2"]), ("io-2", ["io-2"]), (one["identity"], ["io-2"]),
                              (one["boot"], ["io-2"]), ("io-activity", ["io-1", "io-2"]),
                              ("all", ["wf", "io-1", "io-2"])]:
            status, answer, _ = self.post("/v1/commands", {"target": target, "command": "dump"})
            self.assertEqual(status, 200, target)
            self.assertEqual([r["name"] for r in answer["results"]], names, target)
            for result in answer["results"]:
                self.assertTrue(result["ok"], result)
                self.assertTrue(result["data"], result)
        status, answer, _ = self.post("/v1/commands", {"target": "engine", "command": "dump"})
        self.assertEqual(status, 404)

    def test_processes(self):
        status, answer, _ = self.post("/v1/processes", {"action": "scale", "name": "io", "replicas": 3})
        self.assertEqual((status, answer["ok"]), (200, True), answer)
        wait_for(lambda: self.state_of("io-3") == "running" if "io-3" in self.processes() else None, "io-3")
        self.assertEqual(self.post("/v1/processes", {"action": "scale", "name": "nix", "replicas": 1})[0], 404)
        self.assertEqual(self.post("/v1/processes", {"action": "scale", "name": "io", "replicas": 2})[0], 200)
        wait_for(lambda: "io-3" not in self.processes() and len(self.processes()) == 4, "two of io", 40)


class Commands(Fleet):
    def test_quiet_and_resume(self):
        out = self.cli("fleet", "quiet", "io")
        self.assertEqual([line.split()[:2] for line in out.splitlines()], [["io-1", "ok"], ["io-2", "ok"]])
        wait_for(lambda: self.state_of("io-1") == self.state_of("io-2") == "quiet", "quiet")
        self.assertEqual(self.state_of("wf"), "running")
        lines = [json.loads(line) for line in self.cli("fleet", "resume", "all", "-o", "jsonl").splitlines()]
        self.assertEqual([(r["name"], r["ok"]) for r in lines], [("wf", True), ("io-1", True), ("io-2", True)])
        wait_for(lambda: self.state_of("io-1") == self.state_of("io-2") == "running", "resumed")
        events = [json.loads(line) for line in self.cli("fleet", "events", "-o", "jsonl").splitlines()]
        steered = [e for e in events if e["kind"] == "control.command"]
        self.assertEqual([e["fields"]["command"] for e in steered[-2:]], ["quiet", "resume"])
        self.assertRegex(steered[-1]["fields"]["remote"], r"^127\.0\.0\.1:\d+$")

    def test_resize_pollers_level(self):
        self.cli("fleet", "resize", "io-1", "--slots", "9")
        wait_for(lambda: self.processes()["io-1"]["slots"][0]["total"] == 9, "nine slots")
        self.cli("fleet", "resize", "wf", "--executors", "2", code=1)  # it has none
        self.cli("fleet", "resize", "io-1", code=64)
        self.cli("fleet", "pollers", "io-1", "--polls", "3")
        self.cli("fleet", "pollers", "io-1", "--min", "3", "--max", "1", code=64)
        self.cli("fleet", "loglevel", "io-1", "--level", "debug")
        self.cli("fleet", "loglevel", "io-1", "--level", "loud", code=64)
        self.cli("fleet", "loglevel", "io-1", "--level", "info")
        dump = json.loads(self.cli("fleet", "dump", "io-1", "-o", "json"))["results"][0]
        self.assertTrue(dump["ok"] and dump["data"], dump)
        self.cli("fleet", "reload", "io-1")

    def test_profile(self):
        svg = pathlib.Path(self.folder.name) / "flame.svg"
        target = json.loads((self.state / "fleet.json").read_text())["server"]
        load = subprocess.Popen([str(BIN / "flotilla"), "load", "--address", target, "--type", "EchoWorkflow", "-t",
                                 "benchmark", "-i", '"x"', "--count", "20000", "--concurrency", "20", "--quiet"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: self.processes()["wf"]["done"] > 100, "load")
            answer = json.loads(self.cli("fleet", "profile", "wf", "--seconds", "1", "-o", "json"))["results"][0]
            self.assertTrue(answer["ok"], answer)
            self.assertGreater(answer["data"]["samples"], 0)
            self.cli("fleet", "profile", "wf", "--seconds", "1", "--svg", "--out", svg)
        finally:
            load.kill()
            load.wait()
        self.assertIn("</svg>", svg.read_text())

    def test_a_server_that_hangs_is_seen(self):
        wait_for(lambda: get(self.http, "/ready")[0] == 200, "the fleet ready")
        wait_for(lambda: any(q["depth"] is not None for q in self.fleet()["queues"]), "an answer about a queue")
        engine = self.processes()["engine"]
        os.kill(engine["pid"], signal.SIGSTOP)
        try:
            wait_for(lambda: "the server does not answer since" in self.fleet()["reason"], "silence", 30)
            self.assertEqual(self.processes()["engine"]["health"], "bad")
            code, out, err = run("flotilla", "ps", "--state-dir", self.state)
            self.assertEqual(code, 0, err)
            row = next(line for line in out.splitlines() if line.startswith("engine"))
            self.assertRegex(row, r" no .*the server does not answer since \d\d:\d\d:\d\dZ$")
            self.assertEqual([line for line in out.splitlines() if line != line.rstrip()], [])
            self.assertEqual(get(self.http, "/health")[0], 200)
        finally:
            os.kill(engine["pid"], signal.SIGCONT)
        wait_for(lambda: get(self.http, "/ready")[0] == 200, "the fleet ready again", 40)

    def test_unknown_names_end_alike(self):
        here = ["--state-dir", self.state]
        for args in (["scale", "nix=2", *here], ["restart", "nix", *here],
                     ["drain", "nix", "--fleet", self.state / "fleet.json"],
                     ["fleet", "drain", "nix", "--fleet", self.state / "fleet.json"]):
            code, _, err = run("flotilla", *args)
            self.assertEqual(code, 66, err)
            self.assertIn("'nix'", err)

    def test_ls_and_inspect(self):
        wait_for(lambda: get(self.http, "/ready")[0] == 200, "the fleet ready")
        out = self.cli("fleet", "ls").splitlines()
        self.assertEqual(out[0].split()[:3], ["NAME", "ROLE", "STATE"])
        self.assertEqual([line.split()[0] for line in out[1:5]], ["engine", "wf", "io-1", "io-2"])  # and why it is not ready
        self.assertIn("identity", self.cli("fleet", "inspect", "io-1"))
        found = json.loads(self.cli("fleet", "inspect", "io", "-o", "json"))["processes"]
        self.assertEqual([p["name"] for p in found], ["io-1", "io-2"])
        self.cli("fleet", "inspect", "nix", code=66)

    def test_explain_knows_who_is_quiet(self):
        self.cli("fleet", "quiet", "io")
        wait_for(lambda: self.state_of("io-1") == self.state_of("io-2") == "quiet", "quiet")
        target = json.loads((self.state / "fleet.json").read_text())["server"]
        code, _, err = run("flotilla", "start", "--address", target, "--type", "EchoWorkflow", "-t", "benchmark", "-w",
                           "waits", "-i", "1")
        self.assertEqual(code, 0, err)
        wait_for(lambda: "io-1 is quiet, io-2 is quiet." in self.cli("explain", "waits"), "the reason")
        self.cli("fleet", "resume", "io")
        wait_for(lambda: "It completed" in self.cli("explain", "waits"), "the end")

    def test_wrong_ways(self):
        code, _, err = run("flotilla", "fleet", "ls", "--fleet", "/nowhere/fleet.json")
        self.assertEqual((code, len(err.splitlines())), (69, 1), err)
        self.assertEqual(run("flotilla", "fleet", "ls", "--supervisor", "127.0.0.1:1")[0], 69)
        self.assertEqual(run("flotilla", "fleet")[0], 64)
        self.assertEqual(run("flotilla", "fleet", "quite", "io")[0], 64)
        self.assertEqual(run("flotilla", "fleet", "quiet", "--fleet", self.state / "fleet.json")[0], 64)
        self.cli("fleet", "quiet", "nix", code=66)
        self.cli("fleet", "quiet", "io", "--token-file", "/nowhere/token", code=77)
        other = pathlib.Path(self.folder.name) / "other.token"
        other.write_text("0" * 32 + "\n")
        other.chmod(0o600)
        self.cli("fleet", "quiet", "io", "--token-file", other, code=77)
        other.chmod(0o644)
        self.cli("fleet", "quiet", "io", "--token-file", other, code=77)

    def test_token_of_others_is_refused_at_the_start(self):
        token = pathlib.Path(self.folder.name) / "token"
        token.write_text("0123456789abcdef\n")
        token.chmod(0o644)
        args = ["--set", "health.port=0", "--set", "metrics.port=0", "--set",
                f"supervisor.token_file={token}"]
        env = {"FLOTILLA_STATE_DIR": f"{self.folder.name}/watch"}
        code, out, err = run("flotilla-supervisor", *args, env=env)
        self.assertEqual(code, 77, out + err)
        self.assertIn("chmod 0600", out + err)
        code, out, err = run("flotilla-supervisor", "--check-config", "--set",
                             "supervisor.allowed_hosts=[" + ", ".join("abcdefghijklm") + "]", env=env)
        self.assertEqual((code, "at most 12 names" in err), (78, True), out + err)
        token.write_text("short\n")
        token.chmod(0o600)
        self.assertEqual(run("flotilla-supervisor", *args, env=env)[0], 78)

    def test_token_outlives_the_supervisor(self):
        tokens = set()
        for _ in range(2):
            local = Process("local", [BIN / "flotilla-supervisor", "--local", "--set", "health.port=0", "--set",
                                      "metrics.port=0", "--set", "engine.enabled=false", "--set",
                                      f"state_dir={self.folder.name}/kept"])
            local.address("http")
            tokens.add(pathlib.Path(self.folder.name, "kept", "control.token").read_text())
            self.assertEqual(local.stop(), 0)
        self.assertEqual(len(tokens), 1)

    def test_without_a_token_nobody_steers(self):
        watch = Process("watch", [BIN / "flotilla-supervisor", "--set", "health.port=0", "--set", "metrics.port=0",
                                  "--set", f"state_dir={self.folder.name}/watch2"])
        try:
            connection = http.client.HTTPConnection(watch.address("http"), timeout=20)
            connection.request("POST", "/v1/commands", json.dumps(COMMAND), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 403)
            self.assertIn("supervisor.token_file", json.loads(answer.read())["error"])
            connection.close()
        finally:
            self.assertEqual(watch.stop(), 0)


class Top(Fleet):
    def top(self, *args, env=None, rows=24, columns=80):
        screen = Screen([BIN / "flotilla", "top", "--fleet", self.state / "fleet.json", *args],
                        {"TERM": "linux", **(env or {})}, rows, columns)
        self.addCleanup(lambda: screen.status is None and screen.end(signal.SIGKILL))
        return screen

    def row(self, screen, name):
        return next((line.split() for line in screen.lines() if line.startswith(name + " ")), None)

    def assert_given_back(self, screen):
        """The cursor is shown, the other screen left, and keys are echoed again."""
        self.assertGreater(max(screen.raw.rfind(b"\x1b[?25h"), screen.raw.rfind(b"\x1b[?12l\x1b[?25h")),
                           screen.raw.rfind(b"\x1b[?25l"))

    def test_views_and_keys(self):
        screen = self.top()
        screen.shows("io-activity")
        self.assertEqual(screen.lines()[0].split()[:2], ["flotilla", "top"])
        self.assertTrue(all(len(line) <= 80 for line in screen.lines()))
        screen.keys("\t")
        screen.shows("[2 queues]")
        screen.keys("3")
        screen.shows("[3 activities]")
        screen.keys("4")
        screen.shows("process.ready")
        screen.keys("?")
        screen.shows("its log level")
        screen.keys("?1")
        screen.shows("[1 processes]")
        screen.keys("/io-2\n")
        screen.until(lambda lines: any(line.startswith("io-2") for line in lines) and
                     not any(line.startswith("io-1") for line in lines), "the filter")
        screen.keys("\x1b")
        screen.until(lambda lines: any(line.startswith("io-1") for line in lines), "no filter")
        screen.keys("s")  # by name
        screen.until(lambda lines: [line.split()[0] for line in lines[4:8] if line] == ["engine", "io-1", "io-2", "wf"],
                     "the order")
        screen.resize(40, 120)
        screen.until(lambda lines: lines[39].startswith("q quit"), "the larger screen")
        screen.resize(10, 40)
        screen.until(lambda lines: lines[9].startswith("q quit"), "the smaller screen")
        screen.keys("q")
        self.assertEqual(screen.end(), 0)
        self.assert_given_back(screen)

    def test_commands_ask_first(self):
        screen = self.top()
        screen.shows("io-activity")
        screen.keys("jj")  # engine, wf, io-1
        screen.until(lambda lines: "queue benchmark" in lines[22], "the selection")
        screen.keys("p")
        screen.shows("quiet io-1 (it takes no more tasks)? y/n")
        screen.keys("n")
        screen.shows("q quit")
        wait_for(lambda: self.state_of("io-1") == "running", "io-1 as it was")
        screen.keys("p")
        screen.shows("y/n")
        screen.keys("y")
        screen.shows("io-1: quiet done")
        screen.until(lambda _: (self.row(screen, "io-1") or [0] * 3)[2] == "quiet", "the new state")
        screen.keys("r")
        screen.shows("y/n")
        screen.keys("y")
        screen.until(lambda _: (self.row(screen, "io-1") or [0] * 3)[2] == "running", "the old state")
        slots = self.row(screen, "io-1")[3].split("/")[1]
        screen.keys("+")
        screen.shows(f"io-1: {int(slots) + 1} slots? y/n")
        screen.keys("y")
        screen.until(lambda _: self.row(screen, "io-1")[3].endswith(f"/{int(slots) + 1}"), "one more slot")
        screen.keys("ld")
        screen.shows("log level of io-1: debug? y/n")
        screen.keys("n")
        screen.keys("q")
        self.assertEqual(screen.end(), 0)

    def test_without_colour_and_by_signals(self):
        for term, sig in [("vt100", signal.SIGTERM), ("xterm-256color", signal.SIGINT), ("screen", signal.SIGHUP)]:
            screen = self.top(env={"TERM": term, "NO_COLOR": "1"})
            screen.shows("io-activity")
            self.assertNotIn(b"\x1b[31m", screen.raw)
            before = screen.local_modes()
            self.assertFalse(before & termios.ECHO)
            self.assertEqual(screen.end(sig), 0, term)
            if term == "xterm-256color":
                self.assert_given_back(screen)

    def test_unknown_terminals_get_the_plain_tables(self):
        screen = self.top(env={"TERM": "no-such-terminal"}, rows=60, columns=160)
        self.assertEqual(screen.end(), 0)
        self.assertIn(b"PROCESS", screen.raw)

    def test_a_supervisor_that_is_away_is_waited_for(self):
        screen = self.top()
        screen.shows("io-activity")
        pid = json.loads((self.state / "fleet.json").read_text())["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            screen.shows("(old)")
            self.assertTrue(self.row(screen, "io-1"), "what was read stays")
        finally:
            os.kill(pid, signal.SIGCONT)
        screen.until(lambda lines: "(old)" not in lines[0], "the way back")
        for name in ["wf", "io-1", "io-2"]:  # they may have been taken for lost
            wait_for(lambda name=name: self.state_of(name) == "running", f"{name} seen again")
        screen.keys("q")
        self.assertEqual(screen.end(), 0)


del Fleet  # not a test of its own

if __name__ == "__main__":
    unittest.main()
