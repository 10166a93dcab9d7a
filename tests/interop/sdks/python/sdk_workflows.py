# SPDX-License-Identifier: Apache-2.0
"""The workflows and activities of sdk.py."""
import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, ChildWorkflowError

MARK = SearchAttributeKey.for_keyword("PythonMark")


@activity.defn
async def greet(name: str) -> str:
    return f"Hello {name}!"


@activity.defn
async def climb() -> int:
    """Fails until its third attempt, which goes on from the heartbeat of the second."""
    at = (activity.info().heartbeat_details or [0])[0]
    if activity.info().attempt >= 3:
        return at
    activity.heartbeat(at + 10)
    raise RuntimeError("slipped")


@activity.defn
async def wait() -> None:
    """Beats until it is cancelled."""
    while True:
        activity.heartbeat("waiting")
        await asyncio.sleep(0.05)


@activity.defn
async def refuse(what: str) -> None:
    raise ApplicationError(f"no {what}", what, type="Refused", non_retryable=True)


@activity.defn
async def later() -> str:
    """Completed by somebody else."""
    activity.raise_complete_async()


@activity.defn
async def note(what: str) -> str:
    return what


def remote(function, *args, **options):
    return workflow.execute_activity(
        function, args=args, start_to_close_timeout=timedelta(seconds=20), heartbeat_timeout=timedelta(seconds=3),
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=5), **options)


@workflow.defn
class Hello:
    @workflow.run
    async def run(self, name: str) -> str:
        return await remote(greet, name)


@workflow.defn
class Local:
    @workflow.run
    async def run(self, name: str) -> str:
        for _ in range(3):
            name = await workflow.execute_local_activity(greet, name, schedule_to_close_timeout=timedelta(seconds=5))
        return name


@workflow.defn
class Retried:
    @workflow.run
    async def run(self) -> int:
        return await remote(climb)


@workflow.defn
class Refused:
    @workflow.run
    async def run(self) -> None:
        await remote(refuse, "money")


@workflow.defn
class Pending:
    @workflow.run
    async def run(self) -> str:
        return await remote(later)


@workflow.defn
class Cart:
    """Told by signals and updates what it holds, asked by queries."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.closed = False

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: self.closed and workflow.all_handlers_finished())
        return self.held

    @workflow.signal
    def put(self, item: str) -> None:
        self.held.append(item)

    @workflow.signal
    def close(self) -> None:
        self.closed = True

    @workflow.query
    def items(self) -> list[str]:
        return self.held

    @workflow.update
    async def add(self, item: str) -> int:
        self.held.append(await remote(note, item))
        return len(self.held)

    @add.validator
    def check(self, item: str) -> None:
        if not item:
            raise ValueError("an item has a name")


@workflow.defn
class Cancellable:
    """Cleans up after it was cancelled."""

    @workflow.run
    async def run(self) -> None:
        try:
            await remote(wait)
        finally:
            await asyncio.shield(asyncio.ensure_future(remote(note, "cleaned")))


@workflow.defn
class Parent:
    """Two children; one is cancelled."""

    @workflow.run
    async def run(self) -> str:
        name = await workflow.execute_child_workflow(Hello.run, "child")
        child = await workflow.start_child_workflow(
            Cancellable.run, cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED)
        child.cancel()
        try:
            await child
        except ChildWorkflowError as error:
            if isinstance(error.cause, CancelledError):
                return name
        raise ApplicationError("the child was not cancelled")


@workflow.defn
class Orphan:
    @workflow.run
    async def run(self, child: str) -> None:
        await workflow.start_child_workflow(Cart.run, id=child, parent_close_policy=workflow.ParentClosePolicy.ABANDON)


@workflow.defn
class Teller:
    @workflow.run
    async def run(self, other: str) -> None:
        await workflow.get_external_workflow_handle(other).signal("put", "from afar")


@workflow.defn
class Count:
    @workflow.run
    async def run(self, n: int) -> int:
        await workflow.sleep(0.001)
        if n < 5:
            workflow.continue_as_new(n + 1)
        return n


@workflow.defn
class Saga:
    """Books three things, fails at the third, takes the others back."""

    @workflow.run
    async def run(self) -> list[str]:
        booked = []
        for what in ["flight", "hotel"]:
            booked.append(await remote(note, what))
        try:
            await remote(refuse, "car")
        except ActivityError:
            return [await remote(note, f"no {what}") for what in reversed(booked)]
        raise ApplicationError("there was a car")


@workflow.defn
class Race:
    @workflow.run
    async def run(self) -> str:
        timer = asyncio.create_task(asyncio.sleep(3600, "timer"))
        greeting = asyncio.create_task(remote(greet, "you"))
        done, _ = await workflow.wait([timer, greeting], return_when=asyncio.FIRST_COMPLETED)
        return done[0].result()


@workflow.defn
class Timed:
    @workflow.run
    async def run(self) -> bool:
        began = workflow.now()
        await workflow.sleep(0.02)
        return workflow.now() - began >= timedelta(milliseconds=20) and workflow.uuid4() != workflow.uuid4()


@workflow.defn
class Searched:
    @workflow.run
    async def run(self, mark: str) -> None:
        workflow.upsert_search_attributes(TypedSearchAttributes([SearchAttributePair(MARK, mark)]))
        workflow.upsert_memo({"mark": mark})


@workflow.defn
class Flaky:
    """By its own retry policy."""

    @workflow.run
    async def run(self) -> int:
        attempt = workflow.info().attempt
        if attempt < 3:
            raise ApplicationError("not yet")
        return attempt


@workflow.defn(name="Changing")
class OldCode:
    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def go(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.told)
        return "old"


@workflow.defn(name="Changing")
class NewCode:
    def __init__(self) -> None:
        self.told = False

    @workflow.signal
    def go(self) -> None:
        self.told = True

    @workflow.run
    async def run(self) -> str:
        new = workflow.patched("change")
        await workflow.wait_condition(lambda: self.told)
        return "new" if new else "old"


WORKFLOWS = [Hello, Local, Retried, Refused, Pending, Cart, Cancellable, Parent, Orphan, Teller, Count, Saga, Race, Timed,
             Searched, Flaky]
ACTIVITIES = [greet, climb, wait, refuse, later, note]
