#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what resource-based slots make of a load that saturates the CPU: usage over a minute, once it has settled.

  FLOTILLA_BIN=build/release/bin tests/integration/tuner/settle.py [--role cpu-activity-worker] [--quota 1.0]
      [--target 0.9] [--task-ms 20] [--wait-ms 0] [--seconds 60] [--warm 30]

Without waiting a slot is a core: take a quota of more than one then.

With --quota the worker lives in a cgroup of that many cores (root, cgroup v1 or v2), and its usage is that of the
cgroup: nothing else on the machine counts. Without it, usage is the busy share of the machine, all else included.
Exit code 0: the mean is within ten points of the target. Run it on a machine that is quiet otherwise."""
import argparse
import pathlib
import sys
import time

from machine import Cgroup
from fleet_tuned import adjustments, metric, start_work, start_worker

from support import BIN, Fleet


def machine_ticks():
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


class Meter:
    def __init__(self, group, quota):
        self.group, self.quota = group, quota
        self.mark()

    def mark(self):
        self.time, self.ticks = time.monotonic(), machine_ticks()
        self.cpu = self.group.cpu_seconds() if self.group else 0

    def share(self):
        """Since the mark."""
        if self.group:
            return (self.group.cpu_seconds() - self.cpu) / (time.monotonic() - self.time) / self.quota
        busy, total = machine_ticks()
        return (busy - self.ticks[0]) / (total - self.ticks[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--role", default="io-activity-worker", choices=["io-activity-worker", "cpu-activity-worker"])
    arguments.add_argument("--quota", type=float, help="cores")
    arguments.add_argument("--target", type=float, default=0.9)
    arguments.add_argument("--task-ms", type=int, default=20, help="CPU time of an activity")
    arguments.add_argument("--wait-ms", type=int, default=0, help="it waits so long besides")
    arguments.add_argument("--warm", type=float, default=30, help="seconds until it counts")
    arguments.add_argument("--seconds", type=float, default=60)
    given = arguments.parse_args()
    group = Cgroup("flotilla-settle", cpu_quota_us=int(given.quota * 100000)) if given.quota else None
    try:
        with Fleet(BIN) as fleet:
            fleet.engine()
            start_worker(fleet, "workflow-worker")
            more = {"executor__workers": 4} if given.role == "cpu-activity-worker" else {}
            worker = start_worker(fleet, given.role, group, **more, tuner__kind="resource", tuner__target_cpu=given.target,
                                  tuner__activity_slots__min=1, tuner__activity_slots__max=200, tuner__max_cpu_pressure=0.8, shutdown_timeout="3s",
                                  max_concurrent_activity_task_polls=5)
            print(worker.said("Slots follow CPU and memory"))
            seconds = given.warm + given.seconds
            for i in range(int(seconds * 4 * 1000 / given.task_ms / 1000) + 1):  # more than four cores can do
                start_work(fleet, f"burn-{i}", "burn", 1000, ms=given.task_ms, wait_ms=given.wait_ms)
            meter, began = Meter(group, given.quota), time.monotonic()
            step = Meter(group, given.quota)
            while time.monotonic() - began < seconds:
                time.sleep(5)
                print(f"{time.monotonic() - began:5.0f} s  cpu {step.share():.3f}  slots "
                      f"{metric(worker, 'flotilla_tuner_slots'):.0f}", flush=True)
                step.mark()
                if time.monotonic() - began <= given.warm:
                    meter.mark()
            mean = meter.share()
            print(f"mean of {given.seconds:.0f} s: {mean:.3f}, target {given.target}; lines in the log: "
                  f"{len(adjustments(worker))}")
            return 0 if abs(mean - given.target) <= 0.1 else 1
    finally:
        if group:
            group.remove()


if __name__ == "__main__":
    sys.exit(main())
