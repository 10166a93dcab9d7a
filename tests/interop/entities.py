# SPDX-License-Identifier: Apache-2.0
"""Children, external executions, continue-as-new, patches, side effects and attributes of C workflows
(tests/integration/modules/entities.c), by the official Python client; with the worker's cache and without one."""
import pathlib
import uuid

from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

QUEUE = "entities"


def start_worker(fleet, args, **settings):
    module = pathlib.Path(args.bin).resolve().parent / "tests/modules/entities.so"
    return fleet.worker("workflow-worker", str(module), QUEUE, **settings)


def new_id(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


async def events(handle):
    """Names of the events of its history."""
    history = await handle.fetch_history()
    return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in history.events]


async def parents(client):
    other = await client.start_workflow("Other", id=new_id("other"), task_queue=QUEUE)
    handle = await client.start_workflow("Parent", other.id, id=new_id("parent"), task_queue=QUEUE)
    result = await handle.result()
    assert result == {"completes": {"value": 7, "parent": handle.id, "memo": "memo"}, "fails": ["KidBroke", 3, 1],
                      "signalled": [-4, "WorkflowAlreadyStarted"], "cancelled": [-8, -8, -8, -8],
                      "external": [-3, -3, 0, 0]}, result
    assert "WORKFLOW_TASK_FAILED" not in await events(handle)
    try:
        await other.result()
    except WorkflowFailureError as failure:
        assert isinstance(failure.cause, CancelledError), failure.cause


async def counter(client):
    await client.operator_service.add_search_attributes(AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={"Left": IndexedValueType.INDEXED_VALUE_TYPE_INT}))
    handle = await client.start_workflow("Counter", {"left": 2}, id=new_id("counter"), task_queue=QUEUE,
                                         memo={"start": "here"})
    result = await handle.result()
    assert result == [True, True, 4711, 4711, 0, "here", "continued"], result
    last = await client.get_workflow_handle(handle.id).describe()
    assert await last.memo() == {"start": "here", "left": 0}, await last.memo()
    versions = last.search_attributes.get("TemporalChangeVersion")
    assert versions == ["first", "second"], last.search_attributes
    assert last.search_attributes["Left"] == [0], last.search_attributes
    names = await events(client.get_workflow_handle(handle.id))
    assert names.count("MARKER_RECORDED") == 4 and names.count("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES") == 3, names
    assert "WORKFLOW_TASK_FAILED" not in names, names


async def run(fleet, args):
    start_worker(fleet, args)
    client = await fleet.client()
    await parents(client)
    await counter(client)


async def run_without_cache(fleet, args):
    start_worker(fleet, args, sticky_cache__max_entries=0)
    client = await fleet.client()
    await parents(client)
    await counter(client)
