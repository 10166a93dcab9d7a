# SPDX-License-Identifier: Apache-2.0
"""Where the worker under test lives: a /proc of our own making, or a cgroup with limits (v1 or v2)."""
import contextlib
import os
import pathlib
import threading
import time

TICKS = 100  # a second and CPU


class FakeProc:
    """A folder that looks like /proc of a machine with two CPUs; busy and used are shares that a test sets."""

    def __init__(self, folder):
        self.folder, self.busy, self.used = pathlib.Path(folder), 0.0, 0.1
        (self.folder / "self").mkdir(parents=True)
        self.write("self/status", "Name:\tworker\nCpus_allowed_list:\t0-1\n")
        self.ticks, self.busy_ticks, self.last = 1000.0, 100.0, time.monotonic()
        self.step()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def write(self, name, text):
        new = self.folder / (name + ".new")
        new.write_text(text)
        new.rename(self.folder / name)  # nobody reads half a file

    def step(self):
        now = time.monotonic()
        self.ticks += (now - self.last) * TICKS
        self.busy_ticks += (now - self.last) * TICKS * self.busy
        self.last = now
        busy, idle = round(self.busy_ticks * 1000), round((self.ticks - self.busy_ticks) * 1000)
        line = f"{busy} 0 0 {idle} 0 0 0 0 0 0\n"
        self.write("stat", f"cpu  {line}cpu0 {line}cpu1 {line}intr 1\n")
        self.write("meminfo", f"MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable: {round(1e6 * (1 - self.used))} kB\n")

    def _run(self):
        while not self.over.wait(0.02):
            self.step()

    def stop(self):
        self.over.set()
        self.thread.join()


def hierarchy(controller):
    """(version, this process's folder) of the cgroup hierarchy with that controller; None without one."""
    paths = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        for name in names.split(",") if names else ["" if number == "0" else "?"]:
            paths[name] = path
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        root, point = left.split()[3:5]
        kind, _, options = right.split()[:3]
        v1 = kind == "cgroup" and controller in options.split(",")
        v2 = kind == "cgroup2" and controller in pathlib.Path(point, "cgroup.controllers").read_text().split()
        if not v1 and not v2:
            continue
        path = paths.get(controller if v1 else "", "/")
        below = path[len(root):] if root != "/" and path.startswith(root) else path if root == "/" else ""
        return (1 if v1 else 2), pathlib.Path(point + below.rstrip("/"))
    return None


class Cgroup:
    """A cgroup of our own: limits by (file of v1, file of v2) and value. OSError: the machine does not let us."""

    def __init__(self, name, **limits):
        """limits: memory_bytes=..., cpu_quota_us=... (of 100 ms)."""
        self.folders, self.version = {}, None
        wanted = ["memory"] if "memory_bytes" in limits else []
        wanted += ["cpu", "cpuacct"] if "cpu_quota_us" in limits else []
        try:
            for controller in wanted:
                self._make(controller, name)
            if "memory_bytes" in limits:
                self.write("memory", "memory.limit_in_bytes", "memory.max", limits["memory_bytes"])
            if "cpu_quota_us" in limits:
                if self.version == 1:
                    self.write("cpu", "cpu.cfs_period_us", "", 100000)
                self.write("cpu", "cpu.cfs_quota_us", "cpu.max", limits["cpu_quota_us"])
                self.write("cpu", "cpu.shares", "cpu.weight", 10000)  # get it, whoever else wants the cores
        except OSError:
            self.remove()
            raise

    def _make(self, controller, name):
        found = hierarchy("cpu" if controller == "cpuacct" and hierarchy("cpuacct") is None else controller)
        if not found:
            raise OSError(f"no cgroup hierarchy has the controller {controller}")
        self.version, parent = found
        folder = parent / f"{name}-{os.getpid()}"
        folder.mkdir(exist_ok=True)
        if self.version == 2 and not (folder / f"{controller.replace('cpuacct', 'cpu')}.max").exists():
            folder.rmdir()
            raise OSError(f"{parent} does not hand the controller {controller} on")
        self.folders[controller] = folder

    def write(self, controller, v1, v2, value):
        (self.folders[controller] / (v1 if self.version == 1 else v2)).write_text(str(value))

    def read(self, controller, v1, v2):
        return (self.folders[controller] / (v1 if self.version == 1 else v2)).read_text()

    def enter(self):
        """For a child, before exec: this process moves in."""
        for folder in set(self.folders.values()):
            (folder / "cgroup.procs").write_text("0")

    def fields(self, controller, v1, v2):
        return {key: int(value) for key, value in
                (line.split() for line in self.read(controller, v1, v2).splitlines())}

    def cpu_seconds(self):
        if self.version == 1:
            return int(self.read("cpuacct", "cpuacct.usage", "")) / 1e9
        return self.fields("cpu", "", "cpu.stat")["usage_usec"] / 1e6

    def memory(self):
        """Bytes that cannot be dropped."""
        stat = self.fields("memory", "memory.stat", "memory.stat")
        return stat["total_rss"] + stat["total_shmem"] if self.version == 1 else stat["anon"] + stat["shmem"]

    def oom_kills(self):
        return self.fields("memory", "memory.oom_control", "memory.events").get("oom_kill", 0)

    def remove(self):
        for folder in set(self.folders.values()):
            deadline = time.monotonic() + 5
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # once its last process is gone
                time.sleep(0.02)
