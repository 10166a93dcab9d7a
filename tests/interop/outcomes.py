# SPDX-License-Identifier: Apache-2.0
"""Every way in which an activity attempt can end, in C activity workers of both kinds, for a workflow and a client of
the official Python SDK. The activities are those of tests/support/modules/outcomes.c."""
import asyncio
import base64
import pathlib
import uuid
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, ResetActivityRequest
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError, TimeoutType
from temporalio.worker import Worker, WorkflowInboundInterceptor, WorkflowOutboundInterceptor
from temporalio.worker import Interceptor as WorkerInterceptor

ROLES = {"threads": "io-activity-worker", "processes": "cpu-activity-worker"}
CHECKS, OPERATOR = [], []


def outcome(f):
    CHECKS.append(f)
    return f


def operator(f):
    """Only where the server has the calls: the real one."""
    OPERATOR.append(f)
    return f


@workflow.defn
class One:
    """One activity, as its options say."""

    @workflow.run
    async def run(self, activity: str, queue: str, args: list, options: dict) -> Any:
        seconds = {k: timedelta(seconds=v) for k, v in options.items() if k.endswith("_timeout")}
        seconds.setdefault("start_to_close_timeout", timedelta(seconds=30))
        retry = RetryPolicy(initial_interval=timedelta(seconds=options.get("initial", 0.05)), backoff_coefficient=2,
                            maximum_interval=timedelta(seconds=5), maximum_attempts=options.get("attempts", 1),
                            non_retryable_error_types=["Never"])
        if options.get("bytes"):
            args = [bytes(arg) for arg in args]
        answer = await workflow.execute_activity(
            activity, args=args, task_queue=queue, retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            result_type=bytes if options.get("bytes") else None, **seconds)
        return list(answer) if options.get("bytes") else answer


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input):
        input.headers = {**input.headers, "tenant": Payload(metadata={"encoding": b"json/plain"}, data=b'"acme"')}
        return super().start_activity(input)


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound):
        super().init(_Outbound(outbound))


class Headers(WorkerInterceptor):
    """Gives every activity a header."""

    def workflow_interceptor_class(self, input):
        return _Inbound


class Scene:
    """A client, the queue of the C worker, and how to start the workflow above."""

    def __init__(self, client, queue, fleet, args):
        self.client, self.queue, self.fleet = client, queue, fleet
        self.bin = pathlib.Path(args.bin)

    async def start(self, activity, *values, **options):
        return await self.client.start_workflow(One.run, args=[activity, options.pop("queue", self.queue), list(values), options],
                                                id=f"{activity}-{uuid.uuid4().hex[:8]}", task_queue="outcomes")

    async def run(self, activity, *values, **options):
        return await asyncio.wait_for((await self.start(activity, *values, **options)).result(), 30)

    async def failure(self, activity, *values, **options):
        """The failure that the workflow saw: what the ActivityError was caused by."""
        try:
            answer = await self.run(activity, *values, **options)
        except WorkflowFailureError as error:
            assert isinstance(error.cause, ActivityError), error.cause
            return error.cause
        raise AssertionError(f"{activity} completed: {answer}")

    async def begun(self, handle, timeout=20):
        """Wait until the activity of the workflow has started."""
        for _ in range(timeout * 50):
            pending = (await handle.describe()).raw_description.pending_activities
            if pending and pending[0].state == 2:
                return pending[0]
            await asyncio.sleep(0.02)
        raise AssertionError("the activity did not start")

    async def tool(self, *argv):
        child = await asyncio.create_subprocess_exec(
            *map(str, argv), env={"TEMPORAL_ADDRESS": self.fleet.target, "PATH": "/usr/bin:/bin"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        out, _ = await asyncio.wait_for(child.communicate(), 30)
        assert child.returncode == 0, (argv, child.returncode, out.decode())
        return out.decode()

    async def later(self):
        """An activity that was left open: its workflow's handle, its token, its id."""
        path = pathlib.Path(self.fleet.folder.name) / uuid.uuid4().hex
        handle = await self.start("later", {"file": str(path)})
        for _ in range(1000):
            if path.exists():
                return (handle, *path.read_text().split())
            await asyncio.sleep(0.02)
        raise AssertionError("no token was written")


@outcome
async def completion_and_info(s):
    told = await s.run("describe", {"a": [1, None, "ü"]}, 2, "three", schedule_to_close_timeout=60, heartbeat_timeout=5, attempts=7)
    assert told["arguments"] == [{"a": [1, None, "ü"]}, 2, "three"], told
    assert told["encodings"] == ["json/plain"] * 3 and told["tenant"] == "acme", told
    assert (told["workflow_type"], told["queue"], told["attempt"]) == ("One", s.queue, 1), told
    assert (told["start_to_close_ms"], told["schedule_to_close_ms"], told["heartbeat_ms"]) == (30000, 60000, 5000), told
    assert (told["initial_ms"], told["coefficient"], told["maximum_ms"], told["maximum_attempts"]) == (50, 2.0, 5000, 7), told
    assert told["times_are_in_order"] and told["retry_types"], told


@outcome
async def raw_bytes(s):
    assert await s.run("reverse_bytes", [0, 1, 2, 255], bytes=True) == [255, 2, 1, 0]


@outcome
async def typed_failure(s):
    error = await s.failure("fail_typed", attempts=5)
    failure = error.cause
    assert isinstance(failure, ApplicationError) and failure.non_retryable, failure
    assert (failure.type, failure.message) == ("OrderRejected", "the order is rejected"), failure
    assert list(failure.details) == ["first", {"second": 2}], failure.details
    assert failure.failure.stack_trace == "order.c:12"
    assert (failure.cause.type, failure.cause.cause.type) == ("StoreFailed", "DiskFull"), failure.cause
    assert failure.cause.cause.message == "no space left" and failure.cause.cause.cause is None


@outcome
async def retry_with_backoff(s):
    told = await s.run("fail_until", {"until": 4}, attempts=10, initial=0.1)  # waits 100, 200 and 400 ms
    assert told["attempt"] == 4 and told["waited_ms"] >= 690, told
    error = await s.failure("fail_until", {"until": 9}, attempts=3)
    assert error.cause.type == "NotYet" and error.cause.message == "attempt 3", error.cause


@outcome
async def next_retry_delay(s):
    told = await s.run("fail_until", {"until": 2, "delay_ms": 1200}, attempts=2)
    assert told["attempt"] == 2 and told["waited_ms"] >= 1190, told


@outcome
async def start_to_close_timeout(s):
    error = await s.failure("hang", start_to_close_timeout=0.5)
    assert isinstance(error.cause, TimeoutError) and error.cause.type == TimeoutType.START_TO_CLOSE, error.cause


@outcome
async def schedule_to_close_timeout(s):
    error = await s.failure("fail_until", {"until": 1000}, attempts=0, schedule_to_close_timeout=1)
    cause = error.cause  # a failure with no time left for another attempt is reported as it is
    assert isinstance(cause, (TimeoutError, ApplicationError)), cause
    error = await s.failure("hang", start_to_close_timeout=20, schedule_to_close_timeout=0.5)
    assert isinstance(error.cause, TimeoutError), error.cause


@outcome
async def schedule_to_start_timeout(s):
    error = await s.failure("describe", queue="nobody-polls-this", schedule_to_start_timeout=0.5)
    assert isinstance(error.cause, TimeoutError) and error.cause.type == TimeoutType.SCHEDULE_TO_START, error.cause


@outcome
async def heartbeat_timeout(s):
    error = await s.failure("hang", heartbeat_timeout=0.5)
    assert isinstance(error.cause, TimeoutError) and error.cause.type == TimeoutType.HEARTBEAT, error.cause
    # Details of the attempt that timed out are there for the next one.
    assert await s.run("hang_once", {"row": 7}, heartbeat_timeout=0.5, attempts=2) == {"row": 7}


@outcome
async def heartbeat_details_of_a_failed_attempt(s):
    told = await s.run("checkpoint", {"row": 42}, heartbeat_timeout=5, attempts=2)
    assert told == {"resumed_from": {"row": 42}, "attempt": 2}, told


@outcome
async def heartbeats_by_the_worker(s):
    assert await s.run("compute", {"ms": 3500}, heartbeat_timeout=2) == 1


async def cancelled(s, activity, details):
    handle = await s.start(activity, {"n": 1}, heartbeat_timeout=2)
    await s.begun(handle)
    await handle.cancel()
    try:
        await asyncio.wait_for(handle.result(), 30)
        raise AssertionError("a cancelled workflow completed")
    except WorkflowFailureError as error:
        assert isinstance(error.cause, CancelledError), error.cause
    events = [e async for e in handle.fetch_history_events()]
    told = [e for e in events if e.HasField("activity_task_canceled_event_attributes")]
    assert len(told) == 1, [e.event_type for e in events]
    payloads = told[0].activity_task_canceled_event_attributes.details.payloads
    assert [p.data for p in payloads] == [details], payloads


@outcome
async def cancellation_through_heartbeat(s):
    await cancelled(s, "until_cancelled", b'"cancel_requested"')


@outcome
async def cancellation_callback(s):
    await cancelled(s, "called_back", b'"other thread"')


@outcome
async def finished_later_by_the_python_client(s):
    handle, token, activity_id = await s.later()
    late = s.client.get_async_activity_handle(task_token=base64.b64decode(token))
    await late.heartbeat({"row": 1})
    await late.complete({"by": "python"})
    assert await handle.result() == {"by": "python"}
    handle, _, activity_id = await s.later()
    late = s.client.get_async_activity_handle(workflow_id=handle.id, run_id=None, activity_id=activity_id)
    await late.heartbeat({"row": 2})
    await late.fail(ApplicationError("python says no", type="No", non_retryable=True))
    try:
        await handle.result()
        raise AssertionError("a failed activity completed")
    except WorkflowFailureError as error:
        assert error.cause.cause.type == "No", error.cause.cause


@outcome
async def finished_later_by_the_c_client(s):
    program = s.bin.parent / "tests/completer"
    handle, token, _ = await s.later()
    await s.tool(program, token, '{"by": "token"}')
    assert await handle.result() == {"by": "token"}
    handle, _, activity_id = await s.later()
    await s.tool(program, handle.id, activity_id, '[1, "ids"]')
    assert await handle.result() == [1, "ids"]


@outcome
async def finished_later_by_the_command_line(s):
    flotilla = [s.bin / "flotilla", "activity"]
    handle, token, _ = await s.later()
    await s.tool(*flotilla, "complete", "--token", token, "--result", '"done"')
    assert await handle.result() == "done"
    handle, _, activity_id = await s.later()
    ids = ["--workflow-id", handle.id, "--run-id", handle.first_execution_run_id, "--activity-id", activity_id]
    await s.tool(*flotilla, "heartbeat", *ids, "--detail", "5")
    await s.tool(*flotilla, "fail", *ids, "--reason", "given up", "--type", "GivenUp", "--detail", '{"why": 1}', "--non-retryable")
    try:
        await handle.result()
        raise AssertionError("a failed activity completed")
    except WorkflowFailureError as error:
        failure = error.cause.cause
        assert (failure.type, failure.message, list(failure.details)) == ("GivenUp", "given up", [{"why": 1}]), failure
    handle, token, _ = await s.later()
    await handle.cancel()
    for _ in range(500):
        if "cancel requested" in await s.tool(*flotilla, "heartbeat", "--token", token):
            break
        await asyncio.sleep(0.02)
    await s.tool(*flotilla, "cancel", "--token", token, "--detail", '"stopped"')
    try:
        await handle.result()
        raise AssertionError("a cancelled workflow completed")
    except WorkflowFailureError as error:
        assert isinstance(error.cause, CancelledError), error.cause


async def interrupted(s, call, failure_type):
    """An operator's call makes the running attempt fail with this type; then another attempt could follow."""
    handle = await s.start("until_cancelled", {"n": 1}, heartbeat_timeout=2, attempts=5, initial=5)
    activity_id = (await s.begun(handle)).activity_id
    await call(handle.id, activity_id)
    for _ in range(500):
        pending = (await handle.describe()).raw_description.pending_activities[0]
        if pending.HasField("last_failure"):
            break
        await asyncio.sleep(0.02)
    await handle.terminate()
    assert pending.last_failure.application_failure_info.type == failure_type, pending


@operator
async def paused_by_an_operator(s):
    service = s.client.workflow_service
    await interrupted(s, lambda workflow_id, activity_id: service.pause_activity(PauseActivityRequest(
        namespace="default", execution=WorkflowExecution(workflow_id=workflow_id), id=activity_id)), "ActivityPause")


@operator
async def reset_by_an_operator(s):
    service = s.client.workflow_service
    await interrupted(s, lambda workflow_id, activity_id: service.reset_activity(ResetActivityRequest(
        namespace="default", execution=WorkflowExecution(workflow_id=workflow_id), id=activity_id)), "ActivityReset")


async def run(fleet, args):
    """Each outcome on both kinds of executors; what failed, as text."""
    module = pathlib.Path(args.bin).resolve().parent / "tests/modules/outcomes.so"
    client = await fleet.client()
    for role in ROLES.values():
        fleet.worker(role, str(module), role, executor__workers=4, max_concurrent_activities=4)
    failed = []
    checks = CHECKS + (OPERATOR if fleet.temporal else [])
    async with Worker(client, task_queue="outcomes", workflows=[One], interceptors=[Headers()]):
        for kind, role in ROLES.items():
            scene = Scene(client, role, fleet, args)
            results = await asyncio.gather(*[f(scene) for f in checks], return_exceptions=True)
            failed += [f"{f.__name__} on {kind}: {r!r}" for f, r in zip(checks, results) if r is not None]
    return failed
