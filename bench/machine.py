# SPDX-License-Identifier: Apache-2.0
"""Where and with what a benchmark ran: what makes two tables comparable, or not."""
import json
import os
import pathlib
import platform
import re
import subprocess
import time


def first(pattern, text, default="?"):
    found = re.search(pattern, text, re.MULTILINE)
    return found[1].strip() if found else default


def flushes_per_second(folder):
    """4 KiB appends with fdatasync in half a second: the floor of everything durable."""
    path, count = pathlib.Path(folder, "fdatasync.probe"), 0
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    begin = time.monotonic()
    while time.monotonic() < begin + 0.5:
        os.write(fd, b"x" * 4096)
        os.fdatasync(fd)
        count += 1
    seconds = time.monotonic() - begin
    os.close(fd)
    path.unlink()
    return round(count / seconds)


def describe(folder):
    memory = int(first(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), "0"))
    return {"cpu": first(r"^model name\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text()),
            "cores": len(os.sched_getaffinity(0)), "memory_gb": round(memory * 1024 / 1e9, 1),
            "kernel": platform.release(), "flushes_per_second": flushes_per_second(folder),
            "load_before": os.getloadavg()}


def output(*command, cwd=None):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def npm_version(folder, package):
    """Of a package that npm installed in folder; empty when it is not there."""
    description = folder / "node_modules" / package / "package.json"
    return json.loads(description.read_text())["version"] if description.exists() else ""


def python_version(python, package):
    """Of a package that this Python imports; empty when it is not there."""
    return output(python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))")


def flotilla_version(root):
    return output("git", "describe", "--always", "--dirty", cwd=root)
