# SPDX-License-Identifier: Apache-2.0
"""System calls of running processes, counted by strace. It slows them down by a lot: never measure times with it."""
import pathlib
import re
import signal
import subprocess
import tempfile

FLUSHES = ("fsync", "fdatasync", "sync_file_range", "msync")


class SystemCalls:
    """with SystemCalls(pids) as calls: ...; then calls.each(workflows)."""

    def __init__(self, pids):
        self.pids, self.counts = pids, {}

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="strace-")
        which = [word for pid in self.pids for word in ("-p", str(pid))]
        self.child = subprocess.Popen(["strace", "-f", "-c", "-o", self.file.name, *which],
                                      stderr=subprocess.PIPE, text=True)
        attached = 0
        while attached < len(self.pids):  # a line for each process, when all of its threads are attached
            line = self.child.stderr.readline()
            if not line:
                self.__exit__()
                raise PermissionError("strace cannot attach to the processes")
            attached += " attached" in line
        return self

    def __exit__(self, *exc):
        self.child.send_signal(signal.SIGINT)  # detaches
        self.child.communicate(timeout=20)
        for line in pathlib.Path(self.file.name).read_text().splitlines():
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if found and found[2] != "total":
                self.counts[found[2]] = int(found[1])
        self.file.close()

    def each(self, workflows):
        """{"calls", "flushes", "by_name"} for one of so many workflows."""
        return {"calls": sum(self.counts.values()) / workflows,
                "flushes": sum(self.counts.get(name, 0) for name in FLUSHES) / workflows,
                "by_name": {name: count / workflows for name, count in self.counts.items()}}
