# SPDX-License-Identifier: Apache-2.0
"""What suites share about Temporal-shaped servers: waiting for one, loading it with `flotilla load`, stopping a fleet."""
import concurrent.futures
import json
import subprocess
import sys
import time


def wait_until_served(args, target):
    """Until the server answers for its namespace."""
    deadline = time.monotonic() + 30
    while subprocess.run([args.bin / "flotilla", "list", "--address", target, "--limit", "1"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("the server did not answer within 30 s")
        time.sleep(0.1)


def load(args, target, *options, timeout_s=60):
    """`flotilla load` with options to its end: its report; an error when one workflow did not end as it should."""
    done = subprocess.run([args.bin / "flotilla", "load", "--address", target, "--timeout", f"{timeout_s}s",
                           "--output", "json", *map(str, options)], capture_output=True, text=True,
                          timeout=timeout_s + 20)
    if done.returncode:
        raise RuntimeError(f"flotilla load: {' '.join(done.stderr.split())[-300:]}")
    return json.loads(done.stdout)


def stop_process(process):
    try:
        process.stop(timeout=15)
    except AssertionError as error:
        print(f"bench: {str(error).splitlines()[0]} killed", file=sys.stderr)
        process.child.wait()


def stop(fleet):
    """A Fleet's workers, all at once, then its server, the first that it started; who does not obey is killed, and said
    to have been."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(stop_process, fleet.processes[1:]))
    for process in fleet.processes[:1]:
        stop_process(process)
    fleet.folder.cleanup()
