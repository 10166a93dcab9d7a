#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The official Python SDK's client and worker on a server, feature by feature: sdk.py HOST:PORT [NAME ...]. One line a
scenario, exit code 1 when one failed."""
import asyncio
import dataclasses
import logging
import os
import pathlib
import sys
import time
import traceback
import uuid
from datetime import timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import (Client, Schedule, ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleSpec,
                               ScheduleUpdate, WithStartWorkflowOperation, WorkflowFailureError,
                               WorkflowUpdateFailedError, WorkflowUpdateStage)
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.exceptions import CancelledError, TerminatedError
from temporalio.service import RPCError
from temporalio.worker import Worker

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sdk_workflows as wf  # noqa: E402

QUEUE = f"python-{uuid.uuid4().hex[:8]}"
SCENARIOS = {}


def scenario(f):
    SCENARIOS[f.__name__.replace("_", "-")] = f
    return f


def options(name, **more):
    return {"id": f"{QUEUE}-{name}", "task_queue": QUEUE, **more}


async def until(what, ask):
    """Asks again until there is something; lists of runs may lag behind."""
    for _ in range(600):
        answer = await ask()
        if answer:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not happen")


async def pending_activity(handle):
    async def started():
        described = await handle.describe()
        return next((a for a in described.raw_description.pending_activities if a.state == 2), None)
    return await until("the activity's start", started)


async def expect_failure(awaitable, kind):
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError("it did not fail")


@scenario
async def hello(client):
    assert await client.execute_workflow(wf.Hello.run, "you", **options("hello")) == "Hello you!"


@scenario
async def local(client):
    assert await client.execute_workflow(wf.Local.run, "x", **options("local")) == "Hello Hello Hello x!!!"


@scenario
async def retries(client):
    assert await client.execute_workflow(wf.Retried.run, **options("retried")) == 20


@scenario
async def failures(client):
    error = await expect_failure(client.execute_workflow(wf.Refused.run, **options("refused")), WorkflowFailureError)
    cause = error.cause.cause
    assert (cause.type, cause.message, list(cause.details)) == ("Refused", "no money", ["money"]), cause


@scenario
async def signals_and_queries(client):
    handle = await client.start_workflow(wf.Cart.run, **options("signals"), start_signal="put", start_signal_args=["first"])
    await handle.signal(wf.Cart.put, "second")
    assert await handle.query(wf.Cart.items) == ["first", "second"]
    await handle.signal(wf.Cart.close)
    assert await handle.result() == ["first", "second"]
    assert await handle.query(wf.Cart.items) == ["first", "second"], "of a closed run"


@scenario
async def updates(client):
    handle = await client.start_workflow(wf.Cart.run, **options("updates"))
    update = await handle.start_update(wf.Cart.add, "apple", id="one", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    assert await update.result() == 1
    assert await handle.execute_update(wf.Cart.add, "apple", id="one") == 1, "the same id is the same update"
    error = await expect_failure(handle.execute_update(wf.Cart.add, ""), WorkflowUpdateFailedError)
    assert "an item has a name" in str(error.cause)
    await handle.signal(wf.Cart.close)
    assert await handle.result() == ["apple"]


@scenario
async def update_with_start(client):
    for i, item in enumerate(["apple", "pear"]):
        start = WithStartWorkflowOperation(wf.Cart.run, **options("with-start"),
                                           id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING)
        assert await client.execute_update_with_start_workflow(wf.Cart.add, item, start_workflow_operation=start) == i + 1
    await client.get_workflow_handle(f"{QUEUE}-with-start").signal("close")


@scenario
async def children(client):
    assert await client.execute_workflow(wf.Parent.run, **options("parent")) == "Hello child!"


@scenario
async def external(client):
    left = f"{QUEUE}-left"
    await client.execute_workflow(wf.Orphan.run, left, **options("orphan"))
    await client.execute_workflow(wf.Teller.run, left, **options("teller"))
    handle = client.get_workflow_handle(left)
    await handle.signal("close")
    assert await handle.result() == ["from afar"]


@scenario
async def continue_as_new(client):
    assert await client.execute_workflow(wf.Count.run, 1, **options("count")) == 5


@scenario
async def cancellation(client):
    handle = await client.start_workflow(wf.Cancellable.run, **options("cancellable"))
    await pending_activity(handle)
    await handle.cancel()
    error = await expect_failure(handle.result(), WorkflowFailureError)
    assert isinstance(error.cause, CancelledError)


@scenario
async def saga(client):
    assert await client.execute_workflow(wf.Saga.run, **options("saga")) == ["no hotel", "no flight"]


@scenario
async def race(client):
    assert await client.execute_workflow(wf.Race.run, **options("race")) == "Hello you!"


@scenario
async def timers(client):
    assert await client.execute_workflow(wf.Timed.run, **options("timed")) is True


@scenario
async def workflow_retries(client):
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=5)
    assert await client.execute_workflow(wf.Flaky.run, **options("flaky", retry_policy=policy)) == 3


@scenario
async def start_delay(client):
    began = time.monotonic()
    await client.execute_workflow(wf.Hello.run, "late", **options("delayed", start_delay=timedelta(seconds=1)))
    assert time.monotonic() - began > 0.9


@scenario
async def completed_later(client):
    handle = await client.start_workflow(wf.Pending.run, **options("pending"))
    activity_id = (await pending_activity(handle)).activity_id
    await client.get_async_activity_handle(workflow_id=handle.id, run_id=handle.result_run_id,
                                           activity_id=activity_id).complete("by hand")
    assert await handle.result() == "by hand"


@scenario
async def reset(client):
    handle = await client.start_workflow(wf.Cart.run, **options("reset"), start_signal="put", start_signal_args=["kept"])
    await handle.query(wf.Cart.items)  # so a task was completed
    await handle.signal(wf.Cart.put, "reapplied")
    events = (await handle.fetch_history()).events
    completed = next(e.event_id for e in events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    answer = await client.workflow_service.reset_workflow_execution(ResetWorkflowExecutionRequest(
        namespace="default", workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.first_execution_run_id),
        reason="again", workflow_task_finish_event_id=completed, request_id=str(uuid.uuid4())))
    again = client.get_workflow_handle(handle.id, run_id=answer.run_id)
    await again.signal("close")
    assert await again.result() == ["kept", "reapplied"]


@scenario
async def terminate(client):
    handle = await client.start_workflow(wf.Cart.run, **options("terminated"))
    await handle.terminate("enough")
    error = await expect_failure(handle.result(), WorkflowFailureError)
    assert isinstance(error.cause, TerminatedError)


@scenario
async def search(client):
    try:
        await client.operator_service.add_search_attributes(AddSearchAttributesRequest(
            namespace="default", search_attributes={wf.MARK.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD}))
    except RPCError as error:
        assert "already exist" in error.message

    async def known():  # a real server takes some moments to know a new attribute
        try:
            await client.execute_workflow(wf.Searched.run, QUEUE, **options(
                f"searched-{uuid.uuid4().hex[:8]}", execution_timeout=timedelta(seconds=5)))
            return True
        except WorkflowFailureError:
            return False
    await until("the attribute", known)
    query = f"{wf.MARK.name} = '{QUEUE}' AND ExecutionStatus = 'Completed'"

    async def listed():
        async for found in client.list_workflows(query):
            return await found.memo_value("mark") == QUEUE
    await until("the list", listed)
    assert (await client.count_workflows(query)).count >= 1


@scenario
async def schedule(client):
    action = ScheduleActionStartWorkflow(wf.Hello.run, "schedule", id=f"{QUEUE}-scheduled", task_queue=QUEUE)
    handle = await client.create_schedule(QUEUE, Schedule(action=action, spec=ScheduleSpec(
        intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])), memo={"team": "sdk"})
    await handle.trigger()

    async def acted():
        info = (await handle.describe()).info
        assert info.next_action_times
        return info.recent_actions and info.recent_actions[0].action.workflow_id
    workflow_id = await until("the scheduled run", acted)
    assert await client.get_workflow_handle(workflow_id).result() == "Hello schedule!"
    await handle.pause(note="rest")
    state = (await handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "rest")

    def rarer(now):
        now.description.schedule.spec.intervals = [ScheduleIntervalSpec(every=timedelta(hours=2))]
        return ScheduleUpdate(schedule=now.description.schedule)
    await handle.update(rarer)

    async def listed():
        async for found in await client.list_schedules():
            if found.id == QUEUE:
                return True
    await until("the schedule in the list", listed)
    await handle.delete()


@scenario
async def cron(client):
    handle = await client.start_workflow(wf.Hello.run, "cron", **options("cron", cron_schedule="@every 1s"))
    current = client.get_workflow_handle(handle.id)

    async def second_run():
        return (await current.describe()).run_id != handle.first_execution_run_id
    await until("two runs", second_run)
    await current.terminate("enough")


@scenario
async def versions(client):
    """A run that began with the old code ends with the old code's answer on a worker that has the new one."""
    queue = f"{QUEUE}-versions"
    for i, code in enumerate([wf.OldCode, wf.NewCode]):
        async with Worker(client, task_queue=queue, workflows=[code]):
            handle = await client.start_workflow("Changing", **options(f"version-{i}", task_queue=queue))

            async def first_task():
                return (await handle.describe()).history_length >= 4
            await until("the first task", first_task)
            for j, answer in enumerate(["old", "new"] if i == 1 else []):
                each = client.get_workflow_handle(f"{QUEUE}-version-{j}")
                await each.signal("go")
                assert await each.result() == answer


class Sealing(PayloadCodec):
    """AES-256-GCM around each payload."""

    def __init__(self):
        self.key = AESGCM(b"k" * 32)

    async def encode(self, payloads):
        nonces = [os.urandom(12) for _ in payloads]
        return [Payload(metadata={"encoding": b"binary/encrypted"},
                        data=nonce + self.key.encrypt(nonce, payload.SerializeToString(), None))
                for nonce, payload in zip(nonces, payloads)]

    async def decode(self, payloads):
        return [Payload.FromString(self.key.decrypt(p.data[:12], p.data[12:], None)) for p in payloads]


@scenario
async def encryption(client):
    """The server never sees what the workflow is told."""
    settings = client.config()
    settings["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=Sealing())
    sealed = Client(**settings)
    queue = f"{QUEUE}-sealed"
    async with Worker(sealed, task_queue=queue, workflows=[wf.Hello], activities=[wf.greet]):
        said = await sealed.execute_workflow(wf.Hello.run, "you", **options("sealed", task_queue=queue))
    assert said == "Hello you!"
    history = await client.get_workflow_handle(f"{QUEUE}-sealed").fetch_history()
    assert not any(b"Hello you!" in event.SerializeToString() for event in history.events), "the result is readable"


async def play(name, client):
    began = time.monotonic()
    try:
        await asyncio.wait_for(SCENARIOS[name](client), 60)
        print(f"ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return True
    except Exception:
        print(f"FAIL  {name}: {traceback.format_exc()}", flush=True)
        return False


async def main(address, names):
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=wf.WORKFLOWS, activities=wf.ACTIVITIES):
        passed = await asyncio.gather(*(play(name, client) for name in names or SCENARIOS))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} HOST:PORT [NAME ...]")
    logging.disable(logging.ERROR)  # some scenarios' failures are part of them
    code = asyncio.run(main(sys.argv[1], sys.argv[2:]))
    sys.stdout.flush()
    os._exit(code)  # no tearing down: the SDK's threads crash that now and then
