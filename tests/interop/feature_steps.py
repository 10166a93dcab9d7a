# SPDX-License-Identifier: Apache-2.0
"""Scenarios of features.py: activities, local activities, timers, awaiting, coroutines, scopes
(features_steps.c, features_waiting.c)."""
import asyncio

from features import count, events, failure_of, of_type, scenario, summaries, until
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import CancelledError

CANCELLED, TIMED_OUT, FAILED = -8, -7, -15


@scenario
async def activity_options(f):
    handle = await f.start("ActivityOptions", {"a": 1})
    assert await handle.result() == [3, {"a": 1}, -2]
    history = await events(handle)
    with_all, plain = of_type(history, "ACTIVITY_TASK_SCHEDULED")
    assert (with_all.activity_id, with_all.task_queue.name) == ("the-one", "features-2"), with_all
    assert [t.ToSeconds() for t in (with_all.schedule_to_close_timeout, with_all.schedule_to_start_timeout,
                                    with_all.start_to_close_timeout, with_all.heartbeat_timeout)] == [50, 40, 30, 20]
    retry = with_all.retry_policy
    assert (retry.initial_interval.ToMilliseconds(), retry.backoff_coefficient, retry.maximum_interval.ToMilliseconds(),
            retry.maximum_attempts, list(retry.non_retryable_error_types)) == (20, 1.5, 100, 5, ["Hopeless"]), retry
    assert (with_all.priority.priority_key, with_all.priority.fairness_key,
            with_all.priority.fairness_weight) == (2, "tenant", 2), with_all.priority
    assert plain.start_to_close_timeout.ToSeconds() == 30, plain
    assert await summaries(f.client, history, "ACTIVITY_TASK_SCHEDULED") == ["with everything"]
    assert [a.attempt for a in of_type(history, "ACTIVITY_TASK_STARTED")] == [3, 1]


async def until_attempt_runs(handle, activity_id):
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    while (activity_id, started) not in [(a.activity_id, a.state) for a in
                                         (await handle.describe()).raw_description.pending_activities]:
        await asyncio.sleep(0.05)


@scenario
async def activity_cancellation(f):
    handle = await f.start("ActivityCancel")
    for activity_id in ("try", "wait", "abandon"):
        await until_attempt_runs(handle, activity_id)
        await handle.signal("begun")
    result, history = await handle.result(), await events(handle)
    assert result == [[CANCELLED, None], [CANCELLED, "tidied"], [CANCELLED, None], CANCELLED], result
    assert count(history, "ACTIVITY_TASK_CANCEL_REQUESTED") == 2, history
    assert count(history, "ACTIVITY_TASK_SCHEDULED") == 3, "what was never sent is in the history"


@scenario
async def local_activities(f):
    result, history = await f.result("LocalActivities", {"a": 1})
    assert result == [{"a": 1}, 3, 3, FAILED, "Broke", FAILED, True, 20, CANCELLED], result
    assert count(history, "ACTIVITY_TASK_SCHEDULED") == 0 and count(history, "TIMER_STARTED") == 2, history
    markers = of_type(history, "MARKER_RECORDED")
    assert {m.marker_name for m in markers} == {"core_local_activity"}, markers
    assert sum(m.HasField("failure") for m in markers) >= 2, markers
    assert "tried again" in await summaries(f.client, history, "MARKER_RECORDED")


@scenario
async def timers(f):
    result, history = await f.result("Timers")
    assert result == [True, True, CANCELLED, CANCELLED, 0], result
    assert [count(history, f"TIMER_{what}") for what in ("STARTED", "FIRED", "CANCELED")] == [4, 3, 1], history
    assert await summaries(f.client, history, "TIMER_STARTED") == ["a short rest"]


@scenario
async def awaiting_all_and_any(f):
    result, history = await f.result("AwaitMany", "unlucky")
    assert result == [list(range(8)), 1, FAILED, "Broke"], result
    assert count(history, "ACTIVITY_TASK_SCHEDULED") == 10 and count(history, "TIMER_CANCELED") == 1, history


@scenario
async def selecting(f):
    handle = await f.start("Select", "sent")
    await until(handle, "TIMER_FIRED", 2)
    await handle.query("__stack_trace")  # it has seen the second timer, too
    await handle.signal("go", "now")
    result = await handle.result()
    assert result == [[1, 2, 3, 0], "first", "now", TIMED_OUT, -6], result


@scenario
async def conditions(f):
    result, history = await f.result("Conditions")
    assert result == [TIMED_OUT, 0, 0, 5], result
    assert [count(history, f"TIMER_{what}") for what in ("STARTED", "CANCELED")] == [7, 1], history


@scenario
async def coroutines(f):
    result, _history = await f.result("Coroutines", "unlucky")
    assert result == [FAILED, "Broke", 5, CANCELLED], result


@scenario
async def channels_and_locks(f):
    result, _history = await f.result("Meetings")
    assert result == [45, 9, 9, 2, 1, -24, -6, -2], result


@scenario
async def cancellation_scopes(f):
    result, history = await f.result("Scopes", "clean")
    assert result == [CANCELLED, TIMED_OUT, True, "changed our mind", CANCELLED, CANCELLED, "clean", 0, -24,
                      False], result
    assert count(history, "TIMER_CANCELED") == 2, history


@scenario
async def cancelled_workflow(f):
    handle = await f.start("Cancelled", "refund")
    await until(handle, "ACTIVITY_TASK_SCHEDULED")
    await handle.cancel()
    failure = await failure_of(handle.result(), WorkflowFailureError)
    assert isinstance(failure.cause, CancelledError), failure.cause
    described = await handle.describe()
    assert described.status == WorkflowExecutionStatus.CANCELED, described.status
    assert await described.memo() == {"refund": "refund", "reason": "", "slept": CANCELLED, "stayed": CANCELLED}
    assert count(await events(handle), "ACTIVITY_TASK_COMPLETED") == 1
