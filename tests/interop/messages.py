# SPDX-License-Identifier: Apache-2.0
"""Signals, queries and updates of C workflows (tests/integration/modules/messages.c), by the official Python client;
with the worker's cache, without one, and with workers that die meanwhile."""
import asyncio
import pathlib
import signal
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest, QueryWorkflowRequest
from temporalio.client import (WithStartWorkflowOperation, WorkflowQueryFailedError, WorkflowUpdateFailedError,
                               WorkflowUpdateStage)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker

QUEUE = "messages"
ADMITTED = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED
OPTIONS = {"task_queue": QUEUE}


def start_worker(fleet, args, **settings):
    module = pathlib.Path(args.bin).resolve().parent / "tests/modules/messages.so"
    return fleet.worker("workflow-worker", str(module), QUEUE, **settings)


def new_id(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


async def events(handle):
    """Names of the events of its history."""
    history = await handle.fetch_history()
    return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in history.events]


async def refused(call, kind):
    """The failure with which call ends."""
    try:
        answer = await call
    except kind as failure:
        return failure
    raise AssertionError(f"answered with {answer}")


async def signals_and_queries(client):
    handle = await client.start_workflow("Cart", ["a"], id=new_id("cart"), start_signal="add", start_signal_args=["b"],
                                         **OPTIONS)
    await handle.signal("add", "c")
    await handle.signal("what", args=[1, {"x": None}])
    cart = await handle.query("cart", args=["how", 2])
    assert cart == {"items": ["a", "b", "c"], "signals": [["what", [1, {"x": None}]]], "address": None, "paid": False,
                    "args": ["how", 2]}, cart
    nap = await refused(handle.query("nap"), WorkflowQueryFailedError)
    assert "may only look" in str(nap) and "messages.c:" in str(nap), nap
    unknown = await refused(handle.query("other"), WorkflowQueryFailedError)
    assert "unknown queryType other. KnownQueryTypes=[__stack_trace __enhanced_stack_trace " \
        "__temporal_workflow_metadata cart nap]" in str(unknown), unknown
    trace = await handle.query("__stack_trace")
    assert "main at messages.c:" in trace, trace
    for_programs = await handle.query("__enhanced_stack_trace")
    assert [s.locations[0].function_name for s in for_programs.stacks] == ["main"], for_programs
    for _ in range(20):
        await handle.signal("add", "d")
        items = (await handle.query("cart"))["items"]
        assert items[-1] == "d", items  # a query sees every signal that came before it
    return handle


async def metadata(client, handle):
    answer = await client.workflow_service.query_workflow(QueryWorkflowRequest(
        namespace=client.namespace, query=WorkflowQuery(query_type="__temporal_workflow_metadata", query_args=Payloads()),
        execution={"workflow_id": handle.id}))
    payload = answer.query_result.payloads[0]
    assert payload.metadata["encoding"] == b"json/protobuf", payload
    assert payload.metadata["messageType"] == b"temporal.api.sdk.v1.WorkflowMetadata", payload
    about = (await client.data_converter.decode([payload]))[0]
    assert about.definition.type == "Cart" and about.current_details == "waits to be **paid**", about
    assert [(d.name, d.description) for d in about.definition.signal_definitions] == \
        [("", ""), ("add", "puts an item into the cart")], about
    assert [d.name for d in about.definition.update_definitions] == ["pay", "set_address", "take_time"], about


async def updates(handle):
    assert await handle.execute_update("set_address", "Elm Street", id="first") is None
    assert await handle.execute_update("set_address", "Oak Street") == "Elm Street"
    assert await handle.execute_update("set_address", "anything", id="first") is None  # it has been carried out
    bad = await refused(handle.execute_update("set_address", 17), WorkflowUpdateFailedError)
    assert isinstance(bad.cause, ApplicationError) and bad.cause.type == "BadAddress", bad.cause
    assert bad.cause.details == ([17],), bad.cause.details
    unknown = await refused(handle.execute_update("other"), WorkflowUpdateFailedError)
    assert "unknown update other. KnownUpdates=[pay set_address take_time]" in str(unknown.cause), unknown.cause
    slow = await handle.start_update("take_time", args=["ok", 300], id="slow",
                                     wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    failing = await handle.start_update("take_time", args=["not", 200], wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    many = await asyncio.gather(*(handle.execute_update("take_time", args=["ok", 1 + i % 3], id=f"u{i}")
                                  for i in range(8)))
    assert many == [f"u{i}" for i in range(8)], many
    assert await slow.result() == "slow"
    failed = await refused(failing.result(), WorkflowUpdateFailedError)
    assert isinstance(failed.cause, ApplicationError) and failed.cause.type == "TookTooLong", failed.cause


async def paid(handle, items):
    """The end waits for the handlers that are at work; afterwards there still are answers."""
    last = await handle.start_update("take_time", args=["ok", 400], id="last",
                                     wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    assert await handle.execute_update("pay") == items
    assert await last.result() == "last"
    assert len(await handle.result()) == items
    assert (await handle.query("cart"))["paid"] is True
    names = await events(handle)
    accepted, completed = (names.count(f"WORKFLOW_EXECUTION_UPDATE_{what}") for what in ("ACCEPTED", "COMPLETED"))
    assert accepted == completed == 14, names
    assert "WORKFLOW_TASK_FAILED" not in names and "WORKFLOW_TASK_TIMED_OUT" not in names, names


async def update_with_the_start(client):
    """An update that comes with the first task."""
    start = WithStartWorkflowOperation("Cart", [], id=new_id("cart"), id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                                       **OPTIONS)
    assert await client.execute_update_with_start_workflow("set_address", "Elm Street",
                                                           start_workflow_operation=start) is None
    handle = await start.workflow_handle()
    assert (await handle.query("cart"))["address"] == "Elm Street"
    await handle.terminate()


async def rejected_at_once(client):
    handle = await client.start_workflow("Plain", id=new_id("plain"), **OPTIONS)
    unknown = await refused(handle.execute_update("other"), WorkflowUpdateFailedError)
    assert "unknown update other. KnownUpdates=[]" in str(unknown.cause), unknown.cause
    before = await events(handle)
    for _ in range(3):
        await refused(handle.execute_update("other"), WorkflowUpdateFailedError)
    assert await events(handle) == before, "a rejected update left events"
    await handle.signal("end", "so")
    assert await handle.result() == "so"


async def cut_off(client, worker):
    handle = await client.start_workflow("Hasty", id=new_id("hasty"), **OPTIONS)
    update = await handle.start_update("take_time", args=["ok", 60000], id="late",
                                       wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await handle.signal("end", 1)
    assert await handle.result() == 1
    await refused(update.result(), WorkflowUpdateFailedError)
    await asyncio.to_thread(worker.said, "update take_time (id late)")


async def admitted(client, handle, update_id):
    """Until the server knows of an update."""
    request = PollWorkflowExecutionUpdateRequest(
        namespace=client.namespace, wait_policy={"lifecycle_stage": ADMITTED},
        update_ref={"workflow_execution": {"workflow_id": handle.id}, "update_id": update_id})
    async with asyncio.timeout(15):
        while True:
            try:
                return await client.workflow_service.poll_workflow_execution_update(request)
            except RPCError as error:
                assert error.status.name == "NOT_FOUND", error


async def of_the_only_task(fleet, args):
    """All updates that came before the one task of a run have an answer, and end with it."""
    client = await fleet.client()
    handle = await client.start_workflow("Brief", 1, id=new_id("brief"), **OPTIONS)
    answers = []
    for update, words in (("id", []), ("other", []), ("take_time", ["ok", 60000])):
        answers.append(asyncio.ensure_future(handle.execute_update(update, args=words, id=update)))
        await admitted(client, handle, update)
    start_worker(fleet, args)
    assert await handle.result() == 1
    assert await answers[0] == "id"
    unknown = await refused(answers[1], WorkflowUpdateFailedError)
    assert "unknown update other. KnownUpdates=[id take_time]" in str(unknown.cause), unknown.cause
    cut = await refused(answers[2], WorkflowUpdateFailedError)
    assert cut.cause.type == "AcceptedUpdateCompletedWorkflow", cut.cause
    names = await events(handle)
    assert [n for n in names if "UPDATE" in n or "FAILED" in n] == [
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"], names


async def killed(fleet, args, client, worker):
    """Updates at work when their worker dies end on the next one."""
    handle = await client.start_workflow("Cart", ["a"], id=new_id("cart"), **OPTIONS)
    await handle.execute_update("set_address", "Elm Street")
    slow = await handle.start_update("take_time", args=["ok", 2000], id="slow",
                                     wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    worker.stop(signal.SIGKILL)
    fleet.processes.remove(worker)
    worker = start_worker(fleet, args)
    assert await asyncio.wait_for(slow.result(), 40) == "slow"
    assert (await handle.query("cart"))["address"] == "Elm Street"
    assert await handle.execute_update("pay") == 1
    assert await handle.result() == ["a"]
    return worker


async def all_of_it(client, worker):
    handle = await signals_and_queries(client)
    await metadata(client, handle)
    await updates(handle)
    await paid(handle, 23)
    await rejected_at_once(client)
    await cut_off(client, worker)


async def run(fleet, args):
    worker = start_worker(fleet, args, sticky_cache__schedule_to_start_timeout="500ms")
    client = await fleet.client()
    await all_of_it(client, worker)
    await killed(fleet, args, client, worker)


async def run_without_cache(fleet, args):
    worker = start_worker(fleet, args, sticky_cache__max_entries=0)
    await all_of_it(await fleet.client(), worker)


async def with_start(fleet, args):
    start_worker(fleet, args)
    await update_with_the_start(await fleet.client())


# ---- begun in Python, ended in C ----

@activity.defn
async def tidy(address: str) -> str:
    return address


@workflow.defn
class Cart:
    """As much of the C workflow of that name as comes before the hand-over."""

    @workflow.init
    def __init__(self, items: list):
        self.items, self.address = items, None

    @workflow.run
    async def run(self, items: list) -> list:
        await workflow.wait_condition(lambda: False)
        return items

    @workflow.signal
    def add(self, item: str) -> None:
        self.items.append(item)

    @workflow.update
    async def set_address(self, address: str) -> str | None:
        before, self.address = self.address, await workflow.execute_local_activity(
            tidy, address, start_to_close_timeout=timedelta(seconds=30))
        return before

    @set_address.validator
    def check_address(self, address: str) -> None:
        if address == "nowhere":
            raise ApplicationError("that is no address", type="BadAddress")

    @workflow.update
    async def take_time(self, how: str, ms: int) -> str:
        await asyncio.sleep(ms / 1000)
        return workflow.current_update_info().id


async def handed_over(fleet, args):
    client = await fleet.client()
    async with Worker(client, task_queue=QUEUE, workflows=[Cart], activities=[tidy]):
        handle = await client.start_workflow("Cart", ["a"], id=new_id("cart"), **OPTIONS)
        assert await handle.execute_update("set_address", "Elm Street") is None
        await refused(handle.execute_update("set_address", "nowhere"), WorkflowUpdateFailedError)
        await handle.signal("add", "b")
        for i in range(3):  # one by one: which goes on first when several can is each SDK's own affair
            assert await handle.execute_update("take_time", args=["ok", 10], id=f"u{i}") == f"u{i}"
        assert await handle.execute_update("set_address", "Oak Street") == "Elm Street"
        slow = await handle.start_update("take_time", args=["ok", 3000], id="slow",
                                         wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    start_worker(fleet, args)
    assert await asyncio.wait_for(slow.result(), 40) == "slow"
    cart = await handle.query("cart")
    assert (cart["items"], cart["address"]) == (["a", "b"], "Oak Street"), cart
    assert await handle.execute_update("set_address", "Ash Street") == "Oak Street"
    assert await handle.execute_update("pay") == 2
    assert await handle.result() == ["a", "b"]
    assert "WORKFLOW_TASK_FAILED" not in await events(handle)
