# SPDX-License-Identifier: Apache-2.0
"""Local activities of C workflows (tests/integration/modules/local.c), asked for by the official Python client; and
runs that a Python worker began and a C worker ends, which replays the markers of the other."""
import asyncio
import pathlib
import signal
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Worker

QUEUE = "local"
OPTIONS = {"start_to_close_timeout": timedelta(seconds=30)}


def start_worker(fleet, args, **settings):
    module = pathlib.Path(args.bin).resolve().parent / "tests/modules/local.so"
    return fleet.worker("workflow-worker", str(module), QUEUE, **settings)


def new_id(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


async def events(handle):
    """Names of the events of its history."""
    history = await handle.fetch_history()
    return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in history.events]


async def until(condition, what, timeout=20):
    deadline = asyncio.get_running_loop().time() + timeout
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.05)


async def outcomes(client):
    for type_, value, result in [("LocalChain", 21, 84), ("LocalFail", 0, "1 Broke"), ("LocalRetry", 0, 3),
                                 ("LocalBackoff", 0, 3), ("LocalTimeout", 0, "1 Timeout"), ("LocalCancel", 0, True),
                                 ("LocalMany", 50, 2450)]:
        answer = await client.execute_workflow(type_, value, id=new_id(type_), task_queue=QUEUE)
        assert answer == result, (type_, answer)
    handle = await client.start_workflow("LocalBroke", 0, id=new_id("LocalBroke"), task_queue=QUEUE)
    try:
        await handle.result()
        raise AssertionError("LocalBroke completed")
    except WorkflowFailureError as failure:
        assert isinstance(failure.cause, ActivityError) and failure.cause.activity_type == "typed", failure.cause
        cause = failure.cause.cause
        assert isinstance(cause, ApplicationError), cause
        assert (cause.type, cause.message, cause.non_retryable) == ("Broke", "no money", True), cause
        assert cause.details == ({"a": 1},), cause.details


async def longer_than_the_task(client):
    handle = await client.start_workflow("LocalLong", 1900, id=new_id("LocalLong"), task_queue=QUEUE,
                                         task_timeout=timedelta(seconds=1))
    assert await handle.result() == 1900
    names = await events(handle)
    assert names.count("WORKFLOW_TASK_COMPLETED") >= 3 and names.count("MARKER_RECORDED") == 1, names
    assert "WORKFLOW_TASK_TIMED_OUT" not in names and "WORKFLOW_TASK_FAILED" not in names, names


async def counted(fleet, args, client, worker):
    """A run that loses its worker between two local activities: each is executed once."""
    file = pathlib.Path(fleet.folder.name, new_id("lines"))
    handle = await client.start_workflow("LocalCount", {"file": str(file), "ms": 0}, id=new_id("LocalCount"),
                                         task_queue=QUEUE)

    async def recorded():
        return "MARKER_RECORDED" in await events(handle)
    await until(recorded, "the first marker")
    worker.stop(signal.SIGKILL)
    fleet.processes.remove(worker)
    worker = start_worker(fleet, args)
    await handle.signal("go")
    assert await asyncio.wait_for(handle.result(), 40) == [1, 2]
    assert len(file.read_text().splitlines()) == 2, file.read_text()
    names = await events(handle)
    assert names.count("MARKER_RECORDED") == 2 and "WORKFLOW_TASK_FAILED" not in names, names
    return worker


async def signalled(fleet, client):
    """A query and a signal that come while the task is open for a local activity."""
    file = pathlib.Path(fleet.folder.name, new_id("lines"))
    handle = await client.start_workflow("LocalCount", {"file": str(file), "ms": 1200}, id=new_id("LocalCount"),
                                         task_queue=QUEUE, task_timeout=timedelta(seconds=1))

    async def began():
        return file.exists()
    await until(began, "the first local activity")
    try:  # a query meanwhile is answered (C workflows have none), and disturbs nothing
        await handle.query("anything")
        raise AssertionError("a query was answered")
    except WorkflowQueryFailedError:
        pass
    await handle.signal("go")
    assert await handle.result() == [1, 2]
    assert len(file.read_text().splitlines()) == 2, file.read_text()
    assert "WORKFLOW_TASK_FAILED" not in await events(handle)


async def run(fleet, args):
    worker = start_worker(fleet, args, sticky_cache__schedule_to_start_timeout="500ms")
    client = await fleet.client()
    await outcomes(client)
    await longer_than_the_task(client)
    await signalled(fleet, client)
    await counted(fleet, args, client, worker)


# ---- begun in Python, ended in C ----

@activity.defn
async def count(asked: dict) -> int:
    with open(asked["file"], "a+", encoding="ascii") as file:
        file.write(f"attempt {activity.info().attempt} in Python\n")
        file.seek(0)
        return len(file.readlines())


@activity.defn
async def flaky(x: int) -> int:
    if activity.info().attempt < 3:
        raise RuntimeError("not yet")
    return activity.info().attempt


@workflow.defn
class LocalCount:
    def __init__(self):
        self.gone = False

    @workflow.run
    async def run(self, asked: dict) -> list:
        first = await workflow.execute_local_activity("count", asked, **OPTIONS)
        await workflow.wait_condition(lambda: self.gone)
        return [first, await workflow.execute_local_activity("count", asked, **OPTIONS)]

    @workflow.signal
    def go(self) -> None:
        self.gone = True


@workflow.defn
class LocalBackoff:
    @workflow.run
    async def run(self, x: int) -> int:
        return await workflow.execute_local_activity(
            "flaky", x, retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2)),
            local_retry_threshold=timedelta(milliseconds=50), **OPTIONS)


async def handed_over(fleet, args):
    client = await fleet.client()
    file = pathlib.Path(fleet.folder.name, new_id("lines"))
    async with Worker(client, task_queue=QUEUE, workflows=[LocalCount, LocalBackoff], activities=[count, flaky]):
        counts = await client.start_workflow("LocalCount", {"file": str(file), "ms": 0}, id=new_id("LocalCount"),
                                             task_queue=QUEUE)
        pauses = await client.start_workflow("LocalBackoff", 0, id=new_id("LocalBackoff"), task_queue=QUEUE)

        async def recorded():
            return "MARKER_RECORDED" in await events(counts) and "TIMER_STARTED" in await events(pauses)
        await until(recorded, "the markers of both")
    start_worker(fleet, args)
    await counts.signal("go")
    assert await asyncio.wait_for(counts.result(), 40) == [1, 2]
    lines = file.read_text().splitlines()
    assert lines == ["attempt 1 in Python", "attempt 1"], lines
    assert await asyncio.wait_for(pauses.result(), 40) == 3
    for handle in (counts, pauses):
        assert "WORKFLOW_TASK_FAILED" not in await events(handle)
