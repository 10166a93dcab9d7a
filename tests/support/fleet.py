# SPDX-License-Identifier: Apache-2.0
"""Starting servers and workers for tests: real processes, ports chosen by the kernel. Standard library only, but for
Fleet.client(), which is the official SDK's."""
import asyncio
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading

LISTENING = re.compile(r"^\S+: (\S+) listening on (\S+)$")
# The thread sanitizer of GCC 12 loses about one in 1,500 signals that come to a process as it starts, also to one of
# ten lines without a thread; the same program without it lost none of 25,000. So a signal that did nothing is sent again.
LOSES_SIGNALS = os.environ.get("FLOTILLA_SANITIZE") == "thread"


class Process:
    """A child whose output is kept, and whose announcements ("PROGRAM: WHAT listening on ADDRESS") are read."""

    def __init__(self, name, argv, env=None):
        self.name, self.output, self.addresses, self.ended = name, [], {}, False
        self.changed = threading.Condition()
        self.child = subprocess.Popen(
            [str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **(env or {})}, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            with self.changed:
                self.output.append(line.rstrip("\n"))
                found = LISTENING.match(line.rstrip("\n"))
                if found:
                    self.addresses[found[1]] = found[2]
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def address(self, what, timeout=20):
        with self.changed:
            self.changed.wait_for(lambda: what in self.addresses or self.child.poll() is not None, timeout)
        if what not in self.addresses:
            raise AssertionError(f"{self.name} did not announce {what}:\n" + "\n".join(self.output[-20:]))
        return self.addresses[what]

    def said(self, text, timeout=60):
        """Wait for a line of its output that has text in it, and give it back."""
        def line():
            return next((line for line in self.output if text in line), None)
        with self.changed:
            self.changed.wait_for(lambda: line() or self.ended, timeout)
            if not line():
                raise AssertionError(f"{self.name} did not say {text!r}:\n" + "\n".join(self.output[-20:]))
            return line()

    def stop(self, sig=signal.SIGTERM, timeout=40):
        """Send a signal, wait, and give the exit code back."""
        if self.child.poll() is None:
            self.child.send_signal(sig)
        try:
            if LOSES_SIGNALS:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.child.wait(timeout / 2)
                if self.child.poll() is None:
                    self.child.send_signal(sig)
            code = self.child.wait(timeout)
            self.reader.join(timeout)
            self.child.stdout.close()
            return code
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout} s:\n" + "\n".join(self.output[-20:]))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Fleet:
    """A server (ours or the real one) and C workers, stopped in order at the end."""

    def __init__(self, bin_dir, temporal=None):
        self.bin, self.temporal = pathlib.Path(bin_dir), temporal
        self.folder = tempfile.TemporaryDirectory(prefix="flotilla-interop-")
        self.processes = []
        self.target = None

    def start(self, name, argv, env=None):
        process = Process(name, argv, env)
        self.processes.append(process)
        return process

    def engine(self, *args):
        process = self.start("flotilla-engine", [self.bin / "flotilla-engine", "--listen", "127.0.0.1:0", *args])
        self.target = process.address("grpc")
        return process

    def real_server(self, *args):
        port = free_port()
        process = self.start("temporal", [self.temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1",
                                          "--port", port, "--log-level", "error", *args])
        self.target = f"127.0.0.1:{port}"
        return process

    def worker(self, role, modules, queue, **settings):
        """role: workflow-worker, io-activity-worker or cpu-activity-worker; modules: one name, or several. A test's
        module, given by its file, has activities beside its workflows, which import what they like."""
        listed = ", ".join(f"{{path: {name}{', unchecked: true' if '/' in name else ''}}}" for name in modules.split())
        config = pathlib.Path(self.folder.name) / f"{role}-{queue}-{len(self.processes)}.yaml"  # another may be read now
        config.write_text(f"server: {{address: \"{self.target}\"}}\ntask_queue: {queue}\n"
                          f"modules: [{listed}]\nhealth: {{port: 0}}\nmetrics: {{port: 0}}\n")
        sets = [x for k, v in settings.items() for x in ("--set", f"{k.replace('__', '.')}={v}")]
        env = {"FLOTILLA_BLOB_DIR": f"{self.folder.name}/blobs", "DATABASE_URL": f"{self.folder.name}/documents.db",
               "FLOTILLA_STATE_DIR": f"{self.folder.name}/state"}
        return self.start(f"{role} {queue}", [self.bin / role, "--config", config, *sets], env)

    def document_workers(self):
        return [self.worker("workflow-worker", "document", "document-workflow-queue"),
                self.worker("io-activity-worker", "document", "document-io-activity-queue"),
                self.worker("cpu-activity-worker", "document", "document-cpu-activity-queue")]

    def echo_workers(self):
        return [self.worker("workflow-worker", "echo", "benchmark"),
                self.worker("io-activity-worker", "echo", "benchmark")]

    async def client(self):
        """A connected official client; waits for the server to come up."""
        from temporalio.client import Client
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            try:
                return await Client.connect(self.target)
            except RuntimeError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        codes = {}
        for process in reversed(self.processes):
            codes[process.name] = process.stop()
        bad = {name: code for name, code in codes.items() if code != 0 and name != "temporal"}
        for process in self.processes:
            if exc[0] or process.name in bad:
                print(f"--- {process.name}", *process.output[-60:], sep="\n")
        self.folder.cleanup()
        if not exc[0]:
            assert not bad, f"exit codes after SIGTERM: {bad}"
