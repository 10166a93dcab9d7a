# SPDX-License-Identifier: Apache-2.0
"""What processes use, by /proc (proc(5)): CPU, memory, threads, context switches."""
import os
import pathlib
import time

TICK = os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError)  # a thread or process that ended while it was looked at


def of_threads(pid, name):
    """What /proc/PID/task/*/NAME says for each thread that lives."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            yield (task / name).read_text()
        except GONE:
            pass


def family(pid):
    """pid, which has to live, and those of its descendants that do."""
    found = [pid]
    for children in of_threads(pid, "children"):
        for child in children.split():
            try:
                found += family(int(child))
            except GONE:
                pass
    return found


def numbers(text):
    """The lines "Name:  123 ..." as {name: 123}."""
    found = {}
    for line in text.splitlines():
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
    try:
        own = time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError as error:  # EINVAL
        raise ProcessLookupError(f"process {pid} has ended") from error
    return own + child_user + child_system, user + child_user, system + child_system


def context_switches(pid):
    """Of the threads that live."""
    threads = [numbers(status) for status in of_threads(pid, "status")]
    return sum(one["voluntary_ctxt_switches"] + one["nonvoluntary_ctxt_switches"] for one in threads)


def of_process(pid):
    """Of one process; memory in MB (10^6 bytes). written_mb: what went to the disk's queue, from /proc/PID/io."""
    status, maps, disk = (numbers(pathlib.Path(f"/proc/{pid}/{name}").read_text())
                          for name in ("status", "smaps_rollup", "io"))
    cpu, user, system = cpu_seconds(pid)
    return {"cpu_s": cpu, "user_s": user, "system_s": system, "rss_mb": maps["Rss"] * 1.024e-3,
            "rss_peak_mb": status["VmHWM"] * 1.024e-3, "pss_mb": maps["Pss"] * 1.024e-3,
            "private_mb": (maps["Private_Clean"] + maps["Private_Dirty"]) * 1.024e-3, "threads": status["Threads"],
            "switches": context_switches(pid), "written_mb": disk["write_bytes"] * 1e-6}


def over_family(pids, read_one):
    """read_one(pid) of all of pids, which have to live, and of their descendants, which may end meanwhile."""
    found = []
    for pid in pids:
        found.append(read_one(pid))
        for member in family(pid)[1:]:
            try:
                found.append(read_one(member))
            except GONE:
                pass
    return found


def read(pids):
    """of_process() of all of pids and their descendants, added up."""
    readings = over_family(pids, of_process)
    return {key: sum(reading[key] for reading in readings) for key in readings[0]}


def memory(pids):
    """The memory of a reading."""
    use = read(pids)
    return {key: use[key] for key in ("rss_mb", "rss_peak_mb", "pss_mb", "private_mb")}


def between(before, after, count):
    """What two readings say of the count workflows (or jobs) between them."""
    used = {key: after[key] - before[key] for key in ["cpu_s", "user_s", "system_s", "switches", "written_mb"]}
    return {"cpu_s_per_1000": used["cpu_s"] * 1000 / count, "user_s": used["user_s"], "system_s": used["system_s"],
            "switches_each": used["switches"] / count, "written_kb_each": used["written_mb"] * 1000 / count}


def wait_until_quiet(pids, at_most_s, every_s=0.1, share=0.2):
    """Until the processes together use less than so much of a core: what they do late belongs to what was before."""
    deadline, used = time.monotonic() + at_most_s, None
    while time.monotonic() < deadline:
        before, used = used, sum(cpu for cpu, _, _ in over_family(pids, cpu_seconds))
        if before is not None and used - before < share * every_s:
            return
        time.sleep(every_s)
