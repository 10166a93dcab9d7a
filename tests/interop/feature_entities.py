# SPDX-License-Identifier: Apache-2.0
"""Scenarios of features.py: children, other executions, continuing as a new run, changed code, values from outside,
attributes, information (features_entities.c, features_before.c, features_after.c)."""
import asyncio
from datetime import timedelta

from features import count, events, failure_of, of_type, scenario, summaries, until
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import Priority, RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import CancelledError, TerminatedError

CANCELLED, FAILED, NOT_FOUND, EXISTS = -8, -15, -3, -4


@scenario
async def children(f):
    handle = await f.start("Children", "hello")
    result = await handle.result()
    assert result == ["hello", FAILED, "KidBroke", "fail", "hello", True], result
    history = await events(handle)
    with_all, *_others = of_type(history, "START_CHILD_WORKFLOW_EXECUTION_INITIATED")
    assert [t.ToSeconds() for t in (with_all.workflow_execution_timeout, with_all.workflow_run_timeout,
                                    with_all.workflow_task_timeout)] == [300, 200, 20], with_all
    assert with_all.retry_policy.maximum_attempts == 3 and with_all.parent_close_policy == 3, with_all
    assert with_all.priority.priority_key == 4, with_all.priority
    assert await summaries(f.client, history, "START_CHILD_WORKFLOW_EXECUTION_INITIATED") == ["a child"]
    child = await f.client.get_workflow_handle(f"{handle.id}-all").describe()
    assert await child.memo() == {"note": "from the parent"} and child.parent_id == handle.id, child
    assert child.search_attributes["FeatureKeyword"] == ["child"], child.search_attributes
    assert await child.static_summary() == "a child" and await child.static_details() == "with *everything*"
    assert [count(history, f"CHILD_WORKFLOW_EXECUTION_{what}") for what in ("STARTED", "COMPLETED", "FAILED")] == \
        [3, 2, 1], history
    assert count(history, "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED") == 1, history


@scenario
async def child_cancellation(f):
    handle = await f.start("ChildCancel")
    assert await handle.result() == [CANCELLED] * 5
    history = await events(handle)
    assert count(history, "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED") == 3, history
    assert count(history, "START_CHILD_WORKFLOW_EXECUTION_INITIATED") == 4, history
    for name, kind in {"wait": CancelledError, "abandon": TerminatedError}.items():
        end = await failure_of(f.client.get_workflow_handle(f"{handle.id}-{name}").result(), WorkflowFailureError)
        assert isinstance(end.cause, kind), (name, end.cause)


@scenario
async def parent_close_policies(f):
    handle = await f.start("ParentClose")
    assert await handle.result() is None
    for name, kind in {"terminate": TerminatedError, "cancel": CancelledError}.items():
        end = await failure_of(f.client.get_workflow_handle(f"{handle.id}-{name}").result(), WorkflowFailureError)
        assert isinstance(end.cause, kind), (name, end.cause)
    abandoned = f.client.get_workflow_handle(f"{handle.id}-abandon")
    assert (await abandoned.describe()).status == WorkflowExecutionStatus.RUNNING
    await abandoned.signal("go", "on")
    assert await abandoned.result() == "on"


@scenario
async def child_id_policies(f):
    result, history = await f.result("ChildIds")
    assert result == [0, 0, EXISTS, EXISTS, FAILED, 0, EXISTS, 0, FAILED], result
    assert count(history, "START_CHILD_WORKFLOW_EXECUTION_FAILED") == 3, history
    assert count(history, "CHILD_WORKFLOW_EXECUTION_TERMINATED") == 1, history


@scenario
async def external_executions(f):
    other = await f.start("Other")
    result, history = await f.result("External", other.id)
    assert result == [NOT_FOUND, "ExternalWorkflowNotFound", NOT_FOUND, 0, 0], result
    for what in ("SIGNAL", "REQUEST_CANCEL"):
        assert count(history, f"{what}_EXTERNAL_WORKFLOW_EXECUTION_FAILED") == 1, history
    end = await failure_of(other.result(), WorkflowFailureError)
    assert isinstance(end.cause, CancelledError), end.cause
    told = of_type(await events(other), "WORKFLOW_EXECUTION_CANCEL_REQUESTED")[0]
    assert told.cause == "no longer needed", told


@scenario
async def continuing_as_new(f):
    handle = await f.start("Continues", {"left": 2}, memo={"start": "here"}, run_timeout=timedelta(seconds=90))
    assert await handle.result() == [True, True, 100001, 1]
    first = await events(f.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id))
    continued = of_type(first, "WORKFLOW_EXECUTION_CONTINUED_AS_NEW")[0]
    assert continued.workflow_run_timeout.ToSeconds() == 90 and continued.new_execution_run_id, continued
    last = of_type(await events(f.client.get_workflow_handle(handle.id)), "WORKFLOW_EXECUTION_STARTED")[0]
    assert last.retry_policy.maximum_attempts == 2 and last.workflow_task_timeout.ToSeconds() == 5, last
    assert last.first_execution_run_id == handle.first_execution_run_id, last


@scenario
async def continuing_when_suggested(f):
    handle = await f.start("LongOne")
    assert await handle.result() == [False]
    first = await events(f.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id))
    suggested = [t.suggest_continue_as_new for t in of_type(first, "WORKFLOW_TASK_STARTED")]
    assert suggested.count(True) == 1 and suggested[-1], suggested
    assert 4096 <= len(first) < 6000, len(first)


@scenario
async def values_from_outside(f):
    handle = await f.start("Values")
    await until(handle, "TIMER_FIRED", 3)
    seen = [await handle.query("values") for _ in range(3)]
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 15, seen
    await handle.signal("end")
    assert await handle.result() == seen[0]
    assert [(seen[0][i], seen[0][i + 1]) for i in (0, 5, 10)] == [(4, 4), (4, 4), (4, 5)], seen[0]
    uuids, numbers = ({seen[0][i + offset] for i in (0, 5, 10)} for offset in (2, 3))
    assert len(uuids) == len(numbers) == 3 and all(u[14] == "4" and len(u) == 36 for u in uuids), seen[0]
    assert seen[0][4] <= seen[0][9] <= seen[0][14], seen[0]
    assert count(await events(handle), "MARKER_RECORDED") == 5


@scenario
async def attributes_and_memo(f):
    keyword = SearchAttributeKey.for_keyword("FeatureKeyword")
    handle = await f.start("Attributes", memo={"start": "here"},
                           search_attributes=TypedSearchAttributes([SearchAttributePair(keyword, "old")]))
    result = await handle.result()
    assert result == ["old", "new", "two words", 7, 0.5, True, 1700000000000, ["one", "two"], None, "here", True,
                      "shipping"], result
    described = await handle.describe()
    assert await described.memo() == {"stage": "shipping"}, await described.memo()
    typed = described.typed_search_attributes
    assert typed.get(keyword) == "new" and SearchAttributeKey.for_int("FeatureInt") not in typed, typed
    assert typed.get(SearchAttributeKey.for_keyword_list("FeatureList")) == ["one", "two"], typed
    assert typed.get(SearchAttributeKey.for_datetime("FeatureTime")).timestamp() == 1700000000, typed
    history = await events(handle)
    assert count(history, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES") == 2, history
    assert count(history, "WORKFLOW_PROPERTIES_MODIFIED") == 1, history


@scenario
async def information(f):
    handle = await f.start("Info", execution_timeout=timedelta(seconds=300), run_timeout=timedelta(seconds=200),
                           task_timeout=timedelta(seconds=9), retry_policy=RetryPolicy(maximum_attempts=4),
                           priority=Priority(priority_key=3), static_summary="one line", static_details="and *more*")
    run_id = handle.first_execution_run_id
    assert await handle.result() == {
        "id": handle.id, "run": run_id, "type": "Info", "namespace": "default", "queue": "features", "attempt": 1,
        "recent": 1, "length": 3, "first": run_id, "continued": "", "parent": "", "root": "", "execution_ms": 300000,
        "run_ms": 200000, "task_ms": 9000, "attempts": 4, "priority": 3}
    described = await handle.describe()
    assert await described.static_summary() == "one line" and await described.static_details() == "and *more*"
    parent = await f.start("Info", True)
    child = await parent.result()
    assert (child["parent"], child["root"], child["id"]) == (parent.id, parent.id, f"{parent.id}-info"), child


@scenario
async def changed_code(f):
    """Runs of the old code that end with it, and with the new; runs of the new code."""
    queue = "features-changing"
    old = f.fleet.worker("workflow-worker", f.module("before"), queue, **f.settings)
    going, ended = await f.start("Changing", queue=queue), await f.start("Changing", queue=queue)
    f.ended_before.add(ended.id)
    await ended.signal("go")
    assert await ended.result() == ["before", True]
    await until(going, "MARKER_RECORDED")
    assert await asyncio.to_thread(old.stop) == 0
    f.fleet.processes.remove(old)
    f.fleet.worker("workflow-worker", f.module("after"), queue, **f.settings)
    new = await f.start("Changing", queue=queue)
    for handle, answer in ((going, ["after", False, True]), (new, ["after", True, True])):
        await handle.signal("go")
        assert await handle.result() == answer
        assert count(await events(handle), "WORKFLOW_TASK_FAILED") == 0
    versions = (await new.describe()).search_attributes["TemporalChangeVersion"]
    assert sorted(versions) == ["behind-the-signal", "old", "weigh-first"], versions
