# SPDX-License-Identifier: Apache-2.0
"""Scenarios of features.py: signals, queries, updates, failures (features_messages.c, features_failures.c)."""
import asyncio
from datetime import timedelta

from features import count, events, failure_of, of_type, scenario, until
from temporalio.api.common.v1 import Payloads
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (WorkflowFailureError, WorkflowQueryFailedError, WorkflowUpdateFailedError,
                               WorkflowUpdateStage)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

FAILED = -15


@scenario
async def signals(f):
    handle = await f.start("Signals", start_signal="taken", start_signal_args=[1])
    await handle.signal("note", "early")
    await handle.signal("odd", args=[1, {"x": None}])
    await handle.signal("begin", "b")
    assert await handle.query("notes") == []  # the signals before it have been seen
    await handle.signal("taken", 2)
    await handle.signal("note", "late")
    await handle.signal("done")
    *taken, notes = await handle.result()
    assert taken == ["b", 1, True, 1, 2, -7], taken
    assert len(notes) == 3 and all(n in notes for n in ("early", "late", ["odd", [1, {"x": None}]])), notes
    assert count(await events(handle), "WORKFLOW_EXECUTION_SIGNALED") == 7


async def metadata(f, handle):
    answer = await f.client.workflow_service.query_workflow(QueryWorkflowRequest(
        namespace=f.client.namespace, query=WorkflowQuery(query_type="__temporal_workflow_metadata",
                                                          query_args=Payloads()),
        execution={"workflow_id": handle.id}))
    return (await f.client.data_converter.decode(answer.query_result.payloads))[0]


@scenario
async def queries(f):
    handle = await f.start("Queries")
    assert await handle.query("args", args=[1, "x"]) == ["args", 1, [1, "x"], handle.id]
    assert await handle.query("anything") == ["anything", None, [], handle.id]
    failed = await failure_of(handle.query("failure", 7), WorkflowQueryFailedError)
    assert "there is no answer to failure" in str(failed), failed
    writes = await failure_of(handle.query("activity", 7), WorkflowQueryFailedError)
    assert "may only look" in str(writes) and "features_messages.c:" in str(writes), writes
    trace = await handle.query("__stack_trace")
    assert "main at features_messages.c:" in trace and "beside at features_messages.c:" in trace, trace
    about = await metadata(f, handle)
    assert about.definition.type == "Queries" and about.current_details == "answers **queries**", about
    assert ("args", "what it is asked with") in [(d.name, d.description) for d in about.definition.query_definitions]
    assert [(d.name, d.description) for d in about.definition.signal_definitions] == [("done", "ends it")], about
    await handle.signal("done")
    assert await handle.result() == "answered"
    assert await handle.query("args", 2) == ["args", 2, [2], handle.id]  # after its end, too
    assert (await metadata(f, handle)).current_details == "ended"
    assert count(await events(handle), "ACTIVITY_TASK_SCHEDULED") == 0


@scenario
async def updates(f):
    handle = await f.start("Updates")
    assert await handle.execute_update("add", 10, id="first") == 1
    assert await handle.execute_update("add", 10, id="first") == 1  # it has been carried out
    rejected = await failure_of(handle.execute_update("add", "ten"), WorkflowUpdateFailedError)
    assert (rejected.cause.type, list(rejected.cause.details)) == ("NoNumber", ["ten"]), rejected.cause
    later = [await handle.start_update("add_later", i, id=f"later-{i}", wait_for_stage=WorkflowUpdateStage.ACCEPTED)
             for i in range(3)]
    assert await handle.execute_update("odd", args=[1, 2], id="any") == ["odd", "any", [1, 2]]
    assert sorted(await asyncio.gather(*(u.result() for u in later))) == [2, 3, 4]
    broken = await failure_of(handle.execute_update("add_broken", 5), WorkflowUpdateFailedError)
    assert isinstance(broken.cause, ActivityError) and broken.cause.cause.type == "Broke", broken.cause
    last = await handle.start_update("add_later", 9, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    assert await handle.execute_update("finish") is False  # it is at work itself
    assert await last.result() == 5
    assert sorted(await handle.result()) == [0, 1, 2, 9, 10]
    assert sorted(await handle.query("notes")) == [0, 1, 2, 9, 10]
    history = await events(handle)
    accepted = [a.protocol_instance_id for a in of_type(history, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")]
    assert len(accepted) == 8 and {"first", "any", "later-0", "later-1", "later-2"} < set(accepted), accepted
    assert count(history, "WORKFLOW_EXECUTION_UPDATE_COMPLETED") == 8, history
    assert count(history, "WORKFLOW_TASK_FAILED") == 0, history


# ---- failures ----

# [kind, message, type, non_retryable, retry state or timeout, details]: 1 application, 2 timeout, 6 activity
APPLICATION, TIMEOUT, ACTIVITY = 1, 2, 6
NON_RETRYABLE, MAXIMUM_ATTEMPTS = 1, 3
START_TO_CLOSE, SCHEDULE_TO_START, SCHEDULE_TO_CLOSE, HEARTBEAT = 1, 2, 3, 4


@scenario
async def failures_of_calls(f):
    result, _history = await f.result("Failures", 5000)
    assert all(code == FAILED and chain[0][0] == ACTIVITY for code, chain in result), result
    broke, not_yet, *timeouts = (chain for _code, chain in result)
    assert broke[0][4] == NON_RETRYABLE, broke
    assert broke[1:] == [[APPLICATION, "no money", "Broke", True, 0, 1],
                         [APPLICATION, "the account is empty", "Bank", False, 0, 0]], broke
    assert not_yet[0][4] == MAXIMUM_ATTEMPTS, not_yet
    assert not_yet[1:] == [[APPLICATION, "not yet", "NotYet", False, 0, 0]], not_yet
    assert all(chain[1][0] == TIMEOUT for chain in timeouts), timeouts
    assert [chain[1][4:] for chain in timeouts] == [  # with what the last heartbeat said
        [START_TO_CLOSE, 1], [HEARTBEAT, 1], [SCHEDULE_TO_START, 0], [SCHEDULE_TO_CLOSE, 1]], timeouts


@scenario
async def failing_workflows(f):
    async def cause(how):
        handle = await f.start("Ends", how)
        failure = await failure_of(handle.result(), WorkflowFailureError)
        assert count(await events(handle), "WORKFLOW_EXECUTION_FAILED") == 1
        return failure.cause
    typed, code, activity, raised = await asyncio.gather(*map(cause, ("typed", "code", "activity", "raise")))
    assert isinstance(typed, ApplicationError), typed
    assert (typed.type, typed.non_retryable, typed.message, list(typed.details)) == \
        ("Typed", True, "as it was told", [{"left": 3}]), typed
    assert isinstance(code, ApplicationError) and "not found" in str(code), code
    assert isinstance(activity, ActivityError) and activity.activity_type == "broke", activity
    assert (activity.cause.type, activity.cause.cause.type) == ("Broke", "Bank"), activity.cause
    assert (raised.type, raised.message, list(raised.details)) == \
        ("NotPaid", "the card was refused", [{"left": 3}, "two"]), raised
    assert isinstance(raised.cause, ActivityError) and raised.cause.cause.type == "Broke", raised.cause


@scenario
async def retried_workflow(f):
    handle = await f.start("Retried", retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20),
                                                               maximum_attempts=5))
    result = await handle.result()
    assert result[0] == 3 and "attempt 2" in result[1] and result[2] == "NotYet", result


@scenario
async def failing_tasks(f):
    """A failed task is not the workflow's end: it goes on when what is broken has been repaired."""
    handle = await f.start("Repaired", task_timeout=timedelta(seconds=1))
    await until(handle, "WORKFLOW_TASK_FAILED")
    failed = of_type(await events(handle), "WORKFLOW_TASK_FAILED")[0]
    assert "not repaired yet, after a timer" in failed.failure.message, failed
    await handle.signal("repaired", "by hand")
    assert await handle.result() == "by hand"
