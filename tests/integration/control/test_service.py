#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As services of systemd, whose socket the test holds: ready, reloading, stopping, and a watchdog fed by progress."""
import os
import pathlib
import queue
import signal
import socket
import threading
import unittest

from fleet_control import MODULES, QUEUE, ControlTest
from support import get


class Manager:
    """systemd's end: a datagram socket, at a path or in the abstract namespace; messages are kept in their order."""

    def __init__(self, name):
        self.name, self.messages, self.ended = name, queue.Queue(), False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(0.05)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.ended:
            try:
                self.messages.put(dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n")))
            except socket.timeout:
                pass
        self.socket.close()

    def until(self, key, begins="", timeout=30):
        """The next message with this assignment; those before it are gone."""
        while True:
            message = self.messages.get(timeout=timeout)
            if key in message and message[key].startswith(begins):
                return message

    def nothing_more(self):
        """All that has come, and is gone with this."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def close(self):
        self.ended = True
        self.thread.join(10)


class Service(ControlTest):
    def manager(self, abstract=False):
        name = f"@flotilla-test-{os.getpid()}-{id(self)}" if abstract else f"{self.fleet.folder.name}/notify.sock"
        manager = Manager(name)
        self.addCleanup(manager.close)
        return manager

    def service(self, program, manager, *options, **env):
        return self.fleet.start(program, [self.fleet.bin / program, *map(str, options)],
                                {"NOTIFY_SOCKET": manager.name, "FLOTILLA_STATE_DIR": f"{self.fleet.folder.name}/state", **env})

    def worker(self, manager, role="io-activity-worker", server=None, text="", **env):
        config = pathlib.Path(self.fleet.folder.name) / f"{role}.yaml"
        config.write_text(f"server: {{address: \"{server or self.fleet.target}\"}}\ntask_queue: {QUEUE}\n"
                          f"modules: [{{path: \"{MODULES / 'lifecycle.so'}\", unchecked: true}}]\nmetrics: {{port: 0}}\n"
                          f"health: {{port: 0, stall_timeout: 1s}}\nshutdown_timeout: 5s\n{text}")
        return self.service(role, manager, "--config", config, **env)

    def test_life(self):
        """Ready when it polls; reloading with the time; stopping with more time; and it ends with 0."""
        manager = self.manager(abstract=True)
        worker = self.worker(manager)
        self.assertEqual(manager.until("EXTEND_TIMEOUT_USEC"), {"EXTEND_TIMEOUT_USEC": "10000000"})
        self.assertEqual(manager.until("READY"), {"READY": "1"})
        self.assertEqual(manager.until("STATUS")["STATUS"], f"Polls {QUEUE}: 0 tasks run, 0 completed, 0 failed")
        worker.child.send_signal(signal.SIGHUP)
        self.assertGreater(int(manager.until("RELOADING")["MONOTONIC_USEC"]), 0)
        manager.until("READY")
        worker.child.send_signal(signal.SIGTERM)
        manager.until("STOPPING")
        manager.until("EXTEND_TIMEOUT_USEC")
        manager.until("STATUS", "Draining")
        self.assertEqual(worker.child.wait(20), 0)

    def test_waits_for_the_server(self):
        """Not ready without a server, but alive: it asks for more time."""
        manager = self.manager()
        self.worker(manager, server="127.0.0.1:1", WATCHDOG_USEC="200000")
        manager.until("STATUS", "No connection to the server at 127.0.0.1:1")
        for key in ("EXTEND_TIMEOUT_USEC", "WATCHDOG", "EXTEND_TIMEOUT_USEC", "WATCHDOG"):
            self.assertNotIn("READY", manager.until(key))

    def test_stuck_loop_feeds_no_watchdog(self):
        manager = self.manager()
        worker = self.worker(manager, "workflow-worker", WATCHDOG_USEC="200000",
                             FLOTILLA_WORKFLOW_EXECUTORS="0")  # else a workflow cannot hold the loop up
        for _ in range(3):
            manager.until("WATCHDOG")
        self.start_workflow("stuck", "EndlessWorkflow", {})
        worker.said('"event":"loop.stalled"')
        manager.nothing_more()  # what came before it
        for _ in range(20):
            self.assertEqual(get(worker.address("http"), "/health")[0], 503)
        self.assertEqual(manager.nothing_more(), [])
        self.fleet.processes.remove(worker)  # it does not stop when it is told to
        worker.child.kill()
        worker.child.wait()
        worker.reader.join(10)
        worker.child.stdout.close()

    def test_watchdog_of_another(self):
        """WATCHDOG_PID names who is meant."""
        manager = self.manager()
        worker = self.worker(manager, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        manager.until("READY")
        self.assertEqual(worker.stop(signal.SIGTERM), 0)
        self.assertFalse([m for m in manager.nothing_more() if "WATCHDOG" in m])

    def test_engine(self):
        manager = self.manager()
        engine = self.service("flotilla-engine", manager, "--listen", "127.0.0.1:0", WATCHDOG_USEC="200000")
        manager.until("WATCHDOG")
        manager.until("READY")
        self.assertEqual(manager.until("STATUS")["STATUS"], "Serves")
        manager.until("WATCHDOG")
        engine.child.send_signal(signal.SIGTERM)
        manager.until("STOPPING")
        self.assertEqual(manager.until("EXTEND_TIMEOUT_USEC"), {"EXTEND_TIMEOUT_USEC": "35000000"})
        self.assertEqual(engine.child.wait(20), 0)

    def test_supervisor(self):
        manager = self.manager()
        state = f"{self.fleet.folder.name}/fleet"
        supervisor = self.service("flotilla-supervisor", manager, "--set", f"state_dir={state}", "--set", "health.port=0",
                                  "--set", "metrics.port=0", WATCHDOG_USEC="200000", FLOTILLA_STATE_DIR=state)
        manager.until("READY")
        manager.until("WATCHDOG")
        supervisor.child.send_signal(signal.SIGHUP)
        manager.until("RELOADING")
        manager.until("READY")
        self.assertEqual(supervisor.stop(signal.SIGTERM), 0)


if __name__ == "__main__":
    unittest.main()
