# SPDX-License-Identifier: Apache-2.0
"""What suites share: waiting, our workers, loading a server with `flotilla load`, stopping fleets, what may fail."""
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

POLLS, SLOTS = 10, 100  # of each kind, for every worker
# What a server, a worker or a load that does not do what it should ends in; other exceptions are errors of ours.
FAILURES = (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, KeyError, ValueError)


def reason(error):
    """An exception on one line of a row."""
    return " ".join(str(error).split())[:300]


def wait_until(what, condition, timeout_s=30, pause_s=0.005):
    """Look until condition() holds, and is no OSError; an error after timeout_s."""
    deadline, why = time.monotonic() + timeout_s, ""
    while True:
        try:
            if condition():
                return
        except OSError as error:
            why = f": {error}"
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not happen within {timeout_s} s{why}")
        time.sleep(pause_s)


def wait_until_served(args, target, pause_s=0.1):
    """Until the server answers for its namespace."""
    command = [args.bin / "flotilla", "list", "--address", target, "--limit", "1"]
    wait_until("an answer of the server", lambda: subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode == 0, pause_s=pause_s)


def start_workers(fleet, modules, queue="benchmark", settings=(POLLS, SLOTS, POLLS, SLOTS)):
    """Our workflow worker with these modules and our IO worker with echo. settings: polls and slots of each."""
    polls, tasks, activity_polls, activities = settings
    return [fleet.worker("workflow-worker", modules, queue, max_concurrent_workflow_tasks=tasks,
                         max_concurrent_workflow_task_polls=polls),
            fleet.worker("io-activity-worker", "echo", queue, max_concurrent_activities=activities,
                         max_concurrent_activity_task_polls=activity_polls)]


def output_of(what, command, timeout_s=90, env=None):
    """What a program prints until it ends; an error with the end of its complaint when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout_s, env=env)
    if done.returncode:
        raise RuntimeError(f"{what}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def load(args, target, *options, timeout_s=60):
    """`flotilla load` with options to its end: its report; an error when one workflow did not end as it should."""
    return json.loads(output_of("flotilla load", [
        args.bin / "flotilla", "load", "--address", target, "--timeout", f"{timeout_s}s", "--output", "json", *options],
        timeout_s=timeout_s + 20))


def stop_process(process):
    try:
        process.stop(timeout=15)
    except AssertionError as error:
        print(f"bench: {str(error).splitlines()[0]} killed", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.child.pid, signal.SIGKILL)  # its children, too
        process.child.wait()


def stop(fleet):
    """A Fleet's workers, all at once, then its server, the first that it started; who does not obey is killed, and said
    to have been."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(stop_process, fleet.processes[1:]))
    for process in fleet.processes[:1]:
        stop_process(process)
    fleet.folder.cleanup()


def stop_all(fleets):
    """What fails with one leaves none of the others running."""
    for fleet in fleets:
        try:
            stop(fleet)
        except FAILURES as error:
            print(f"bench: stopping {fleet.folder.name}: {reason(error)}", file=sys.stderr)
