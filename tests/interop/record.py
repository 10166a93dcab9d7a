#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records histories of a Python worker on a real server for tests/replay/python: record.py TEMPORAL-BINARY

Each is of a workflow of type Follow, whose input has the rules by which tests/integration/modules/follow.c does the
same steps; tests/integration/test_replay.py replays them. Run by hand when there is something new to record."""
import asyncio
import pathlib
import subprocess
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from fleet import free_port  # noqa: E402

FOLDER = pathlib.Path(__file__).parents[1] / "replay/python"
OPTIONS = {"start_to_close_timeout": timedelta(seconds=10), "retry_policy": RetryPolicy(maximum_attempts=1)}


def rule(on, *actions):
    return {"on": on, "do": [list(a) for a in actions]}


RULES = {
    "mixed": [rule([], ("activity", "quick"), ("timer", 50)),
              rule(["activity 1", "timer 1"], ("patch", "p"), ("local", "quick")),
              rule(["local 1"], ("child", "mixed-child")), rule(["child 1", "signal go"], ("complete",))],
    "done": [rule([], ("complete",))],
    "cancelled": [rule([], ("timer", 60000)), rule(["cancel"], ("cancel_timer", 1), ("cancelled",))],
    "continued": [rule([], ("timer", 20)), rule(["timer 1"], ("continue",))],
    "updated": [rule([], ("timer", 60000)), rule(["update"], ("activity", "quick")),
                rule(["activity 1"], ("cancel_timer", 1), ("complete",))],
}


@activity.defn
async def quick():
    return 1


@workflow.defn(name="Follow")
class Follow:
    def __init__(self):
        self.told = self.changed = False

    @workflow.signal
    def go(self):
        self.told = True

    @workflow.update
    def update(self, value):
        self.changed = True
        return value

    @workflow.run
    async def run(self, program):
        await getattr(self, program["name"])()

    async def mixed(self):
        running = workflow.start_activity(quick, **OPTIONS)
        timer = asyncio.create_task(asyncio.sleep(0.05))
        await running
        await timer
        workflow.patched("p")
        await workflow.execute_local_activity(quick, **OPTIONS)
        await workflow.execute_child_workflow("Follow", {"name": "done", "rules": RULES["done"]}, id="mixed-child")
        await workflow.wait_condition(lambda: self.told)

    async def done(self):
        pass

    async def cancelled(self):
        await asyncio.sleep(60)

    async def continued(self):
        await asyncio.sleep(0.02)
        workflow.continue_as_new({"name": "done", "rules": RULES["done"]})

    async def updated(self):
        timer = asyncio.create_task(asyncio.sleep(60))
        await workflow.wait_condition(lambda: self.changed)
        await workflow.execute_activity(quick, **OPTIONS)
        timer.cancel()
        await asyncio.sleep(0)


async def record(client, name):
    handle = await client.start_workflow("Follow", {"name": name, "rules": RULES[name]}, id=name, task_queue="q")
    if name == "mixed":
        await handle.signal("go")
    elif name in ("cancelled", "updated"):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("timer_started_event_attributes"):
                break
        await (handle.cancel() if name == "cancelled" else handle.execute_update("update", 1))
    try:
        await handle.result(follow_runs=False)
    except Exception as end:  # cancelled, or continued as new
        print(f"{name}: {end!r}")
    first = client.get_workflow_handle(name, run_id=handle.first_execution_run_id)
    (FOLDER / f"{name}.json").write_text((await first.fetch_history()).to_json() + "\n")


async def main(temporal):
    port = free_port()
    server = subprocess.Popen([temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port),
                               "--log-level", "error"])
    try:
        for _ in range(100):
            try:
                client = await Client.connect(f"127.0.0.1:{port}")
                break
            except RuntimeError:
                await asyncio.sleep(0.2)
        async with Worker(client, task_queue="q", workflows=[Follow], activities=[quick],
                          workflow_runner=UnsandboxedWorkflowRunner()):
            for name in RULES:
                if name != "done":
                    await record(client, name)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    asyncio.run(main(sys.argv[1]))
