# SPDX-License-Identifier: Apache-2.0
"""What processes use, by /proc (proc(5)): CPU, memory, threads, context switches."""
import os
import pathlib
import time

TICK = os.sysconf("SC_CLK_TCK")


def family(pid):
    """pid and its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def numbers(path):
    """The lines "Name:  123 ..." of a file as {name: 123}."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found


def cpu_seconds(pid):
    """(all, user, system), with the children that it has waited for. All of its own comes from the process's CPU clock,
    to the nanosecond; the kernel gives user and system in ticks of 10 ms."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, child_user, child_system = (int(field) / TICK for field in fields[11:15])
    own = time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    return own + child_user + child_system, user + child_user, system + child_system


def context_switches(pid):
    """Of the threads that live."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = numbers(task / "status")
        total += status["voluntary_ctxt_switches"] + status["nonvoluntary_ctxt_switches"]
    return total


def read(pids):
    """All of pids and their descendants together; memory in MB (10^6 bytes). written_mb: what went to the disk's
    queue, from /proc/PID/io."""
    total = dict.fromkeys(["cpu_s", "user_s", "system_s", "rss_mb", "rss_peak_mb", "pss_mb", "private_mb", "threads",
                           "switches", "written_mb"], 0)
    for pid in [member for pid in pids for member in family(pid)]:
        status, maps = numbers(f"/proc/{pid}/status"), numbers(f"/proc/{pid}/smaps_rollup")
        cpu, user, system = cpu_seconds(pid)
        total["cpu_s"] += cpu
        total["user_s"] += user
        total["system_s"] += system
        total["rss_mb"] += maps["Rss"] * 1.024e-3
        total["rss_peak_mb"] += status["VmHWM"] * 1.024e-3
        total["pss_mb"] += maps["Pss"] * 1.024e-3
        total["private_mb"] += (maps["Private_Clean"] + maps["Private_Dirty"]) * 1.024e-3
        total["threads"] += status["Threads"]
        total["switches"] += context_switches(pid)
        total["written_mb"] += numbers(f"/proc/{pid}/io")["write_bytes"] * 1e-6
    return total


def between(before, after, count):
    """What two readings say of the count workflows (or jobs) between them."""
    used = {key: after[key] - before[key] for key in ["cpu_s", "user_s", "system_s", "switches", "written_mb"]}
    return {"cpu_s_per_1000": used["cpu_s"] * 1000 / count, "user_s": used["user_s"], "system_s": used["system_s"],
            "switches_each": used["switches"] / count, "written_kb_each": used["written_mb"] * 1000 / count}


def wait_until_quiet(pids, at_most_s, every_s=0.1, share=0.2):
    """Until the processes together use less than so much of a core: what they do late belongs to what was before."""
    deadline, used = time.monotonic() + at_most_s, None
    while time.monotonic() < deadline:
        before, used = used, sum(cpu_seconds(member)[0] for pid in pids for member in family(pid))
        if before is not None and used - before < share * every_s:
            return
        time.sleep(every_s)
