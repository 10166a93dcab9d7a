# SPDX-License-Identifier: Apache-2.0
"""A fleet whose activity worker has resource-based slots, and the work for it."""
import json
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support import BIN, flotilla, get, ready, run  # noqa: E402

MODULE = pathlib.Path(os.environ.get("FLOTILLA_TUNED", BIN.parent / "tests/modules/tuned.so"))
QUEUE = "tuned"


def start_worker(fleet, role, cgroup=None, env=None, **settings):
    """A worker on QUEUE, inside cgroup when there is one; settings as in --set, with __ for the dots."""
    inside = []
    if cgroup:
        procs = " ".join(f"{folder}/cgroup.procs" for folder in sorted(set(map(str, cgroup.folders.values()))))
        inside = ["/bin/sh", "-c", f"for f in {procs}; do echo $$ > $f; done; exec \"$@\"", "sh"]
    pairs = {"server__address": fleet.target, "task_queue": QUEUE, "health__port": 0, "metrics__port": 0, **settings}
    if "tuner__kind" in settings:
        pairs.setdefault("tuner__max_cpu_pressure", 1)  # the machine is shared with other tests
    config = pathlib.Path(fleet.folder.name) / f"{role}-{len(fleet.processes)}.yaml"
    config.write_text(f"modules: [{{path: {MODULE}, unchecked: true}}]\n")
    sets = [x for k, v in pairs.items() for x in ("--set", f"{k.replace('__', '.')}={v}")]
    worker = fleet.start(role, [*inside, BIN / role, "--config", config, *sets],
                         {"FLOTILLA_STATE_DIR": f"{fleet.folder.name}/state", **(env or {})})
    ready(worker)
    return worker


def start_work(fleet, name, activity, n, **given):
    """n activities at once, as one workflow."""
    given = json.dumps({"activity": activity, "n": n, "input": given})
    code, out, err = flotilla(fleet.target, "start", "--type", "SpreadWorkflow", "-t", QUEUE, "-w", name,
                              "--input", given)
    assert code == 0, err + out


def result(fleet, name, timeout=120):
    code, out, err = run("flotilla", "result", "--address", fleet.target, name, timeout=timeout)
    assert code == 0, err + out
    return json.loads(out)


def metric(worker, name, **labels):
    """The value of a series; None when there is no such series."""
    for line in get(worker.address("metrics"), "/metrics")[1].splitlines():
        if re.match(rf"{name}[{{ ]", line) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    return None


def adjustments(worker):
    """What the log says of the slots: dicts with from, to, reason, ..."""
    return [json.loads(line) for line in worker.output if "Tuner adjusted slots" in line]
