# SPDX-License-Identifier: Apache-2.0
"""The Python SDK's time-skipping test environment with our engine as its test server: days of workflow time in moments.

By hand, also against Temporal's own test server: time_skipping.py FILE, where FILE starts it with the port that it is
given as its one argument."""
import asyncio
import os
import sys
import time
from datetime import datetime, timedelta, timezone

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import (Client, Schedule, ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleSpec,
                               WorkflowFailureError)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, TimeoutType
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

QUEUE = "time-skipping"
DAY = timedelta(days=1)
REAL_S = 30  # what takes days by the workflows' clock must not take so long by ours


@activity.defn
async def fails_until(attempt: int) -> int:
    if activity.info().attempt < attempt:
        raise ApplicationError("not yet")
    return activity.info().attempt


@activity.defn
async def takes(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@activity.defn
async def never() -> None:
    await asyncio.Event().wait()


@workflow.defn
class Month:
    @workflow.run
    async def run(self) -> float:
        begun = workflow.now()
        await asyncio.sleep(30 * DAY.total_seconds())
        return (workflow.now() - begun).total_seconds()


@workflow.defn
class Instant:
    @workflow.run
    async def run(self) -> None:
        pass


@workflow.defn
class Retries:
    """Retries an hour and more apart; attempts take their real time."""

    @workflow.run
    async def run(self) -> list:
        begun = workflow.now()
        attempt = await workflow.execute_activity(fails_until, 4, start_to_close_timeout=timedelta(seconds=20),
                                                  retry_policy=RetryPolicy(initial_interval=timedelta(hours=1)))
        waited = (workflow.now() - begun).total_seconds()
        said = await workflow.execute_activity(takes, 0.3, start_to_close_timeout=timedelta(seconds=20),
                                               heartbeat_timeout=timedelta(seconds=20))
        return [attempt, waited, said, (workflow.now() - begun).total_seconds() - waited]


@workflow.defn
class TimesOut:
    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.execute_activity(never, start_to_close_timeout=timedelta(seconds=1),
                                            schedule_to_close_timeout=timedelta(days=2),
                                            retry_policy=RetryPolicy(initial_interval=DAY, maximum_attempts=2))
        except ActivityError as error:
            assert isinstance(error.cause, TimeoutError), error.cause
            return TimeoutType(error.cause.type).name
        return "no"


@workflow.defn
class Hours:
    """Counts hours until it is told to stop."""

    def __init__(self):
        self.hours, self.stopped = 0, False

    @workflow.run
    async def run(self) -> int:
        while not self.stopped:
            try:
                await workflow.wait_condition(lambda: self.stopped, timeout=timedelta(hours=1))
            except asyncio.TimeoutError:
                self.hours += 1
        return self.hours

    @workflow.signal
    def stop(self) -> None:
        self.stopped = True

    @workflow.query
    def count(self) -> int:
        return self.hours


@workflow.defn
class Parent:
    """A child that sleeps, then itself again, once."""

    @workflow.run
    async def run(self, again: bool) -> float:
        slept = await workflow.execute_child_workflow(Month.run)
        if again:
            workflow.continue_as_new(False)
        return slept


def worker(client):
    return Worker(client, task_queue=QUEUE, workflows=[Month, Instant, Retries, TimesOut, Hours, Parent],
                  activities=[fails_until, takes, never])


async def skips(path):
    """All that a test with skipped time does, on the server that this executable is."""
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path) as env:
        client, begun = env.client, await env.get_current_time()
        assert abs(begun - datetime.now(timezone.utc)) < timedelta(minutes=1), begun
        async with worker(client):
            real = time.monotonic()
            slept = await client.execute_workflow(Month.run, id="month", task_queue=QUEUE)
            assert 30 * 86400 <= slept < 30 * 86400 + 60, slept
            attempt, waited, said, took = await client.execute_workflow(Retries.run, id="retries", task_queue=QUEUE)
            assert (attempt, said) == (4, "done") and 7 * 3600 <= waited < 7 * 3600 + 60 and 0.3 <= took < 60, (waited, took)
            assert await client.execute_workflow(TimesOut.run, id="out", task_queue=QUEUE) == "START_TO_CLOSE"
            slept = await client.execute_workflow(Parent.run, True, id="parent", task_queue=QUEUE)
            assert 30 * 86400 <= slept < 30 * 86400 + 60, slept

            hours = await client.start_workflow(Hours.run, id="hours", task_queue=QUEUE)
            assert await hours.query(Hours.count) == 0
            before = await env.get_current_time()
            await env.sleep(timedelta(hours=5, minutes=30))
            passed = await env.get_current_time() - before
            assert timedelta(hours=5, minutes=30) <= passed < timedelta(hours=5, minutes=35), passed
            assert await hours.query(Hours.count) == 5
            with env.auto_time_skipping_disabled():
                await hours.signal(Hours.stop)
                assert await hours.result() == 5
            try:
                await client.execute_workflow(Month.run, id="short", task_queue=QUEUE, execution_timeout=DAY)
                raise AssertionError("a month within a day")
            except WorkflowFailureError as error:
                assert isinstance(error.cause, TimeoutError), error.cause
            assert time.monotonic() - real < REAL_S


async def delayed(path):
    """A start that is delayed, which Temporal's test server does not know."""
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path) as env:
        async with worker(env.client):
            before = await env.get_current_time()
            await env.client.execute_workflow(Month.run, id="later", task_queue=QUEUE, start_delay=10 * DAY)
            passed = await env.get_current_time() - before
            assert 40 * DAY <= passed < 41 * DAY, passed


async def schedules(path):
    """A day of a schedule, whose workflows themselves take hours."""
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path) as env:
        async with worker(env.client):
            twice = await env.client.create_schedule("twice", Schedule(
                action=ScheduleActionStartWorkflow(Retries.run, id="twice", task_queue=QUEUE),
                spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=12))])))
            await env.sleep(DAY)
            info = (await twice.describe()).info
            assert info.num_actions == 2 and info.num_actions_missed_catchup_window == 0, info
            await twice.delete()


async def crons(path):
    """A day of a workflow that runs each second hour."""
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=path) as env:
        async with worker(env.client):
            await env.client.start_workflow(Instant.run, id="cron", task_queue=QUEUE, cron_schedule="0 */2 * * *")
            await env.sleep(DAY)
            closed = await env.client.count_workflows("WorkflowId = 'cron' AND ExecutionStatus != 'Running'")
            assert 11 <= closed.count <= 13, closed  # the day may begin or end in the midst of one
            await env.client.get_workflow_handle("cron").terminate()


async def unlocked(address):
    """An engine with --time-skipping: any client, no test service needed; but it is there."""
    client = await Client.connect(address)
    await client.workflow_service.get_system_info(GetSystemInfoRequest())
    async with worker(client):
        real = time.monotonic()
        months = [client.execute_workflow(Month.run, id=f"month-{i}", task_queue=QUEUE) for i in range(20)]
        assert all(30 * 86400 <= slept for slept in await asyncio.gather(*months))
        assert time.monotonic() - real < REAL_S


if __name__ == "__main__":
    asyncio.run(skips(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # no tearing down: the SDK's threads crash that now and then
