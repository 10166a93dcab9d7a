# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the engine, again and again, under load from the Python SDK: nothing that was acknowledged is lost, nothing
is there twice, and it is ready again in a moment."""
import asyncio
import collections
import os
import pathlib
import signal
import statistics
import time
import uuid
from datetime import timedelta

import grpc
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.api.workflowservice.v1.service_pb2_grpc import WorkflowServiceStub
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from fleet import free_port

QUEUE = "kill"
KILLS = 100
CLIENTS = 20
ANSWERS = 10     # between two kills, at least
SIGNALS = 2
STEPS = 2
READY_S = 20     # for a slow machine; what it took is printed
PATIENCE_S = 120
SHORT = timedelta(seconds=3)  # what a death leaves open is tried again soon
MAYBE = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.UNKNOWN)

effects = collections.defaultdict(list)  # (workflow id, step) -> what the attempts gave


@activity.defn
async def effect(step: int) -> str:
    value = uuid.uuid4().hex
    effects[activity.info().workflow_id, step].append(value)
    return value


@workflow.defn
class Ledger:
    """As many signals as it waits for, an activity behind each other; the result says all that it saw."""

    def __init__(self):
        self.seen = []

    @workflow.run
    async def run(self) -> dict:
        values = [await workflow.execute_activity(effect, step, start_to_close_timeout=SHORT) for step in range(STEPS)]
        await workflow.wait_condition(lambda: len(set(self.seen)) >= SIGNALS)
        return {"values": values, "seen": self.seen}

    @workflow.signal
    def add(self, number: int) -> None:
        self.seen.append(number)


class Acknowledged:
    """What the server has said OK to."""

    def __init__(self):
        self.runs, self.signals, self.results = {}, collections.defaultdict(set), {}
        self.repeated = set()  # workflow ids with a signal that was sent as a new one, since the SDK gave it up
        self.count = 0
        self.grown = asyncio.Condition()

    async def grow(self):
        async with self.grown:
            self.count += 1
            self.grown.notify_all()

    async def until(self, count):
        async with asyncio.timeout(PATIENCE_S):
            async with self.grown:
                await self.grown.wait_for(lambda: self.count >= count)


async def until_definite(call):
    """(its answer, how often it was asked): again, as a new call, when the SDK has given it up."""
    asked = 0
    while True:
        asked += 1
        try:
            return await call(), asked
        except RPCError as error:
            if error.status not in MAYBE:
                raise
            await asyncio.sleep(0.05)


async def use(client, told, stop):
    """One client: workflows from start to end, until it is told to stop."""
    while not stop.is_set():
        name = f"ledger-{uuid.uuid4().hex}"
        try:
            handle, _ = await until_definite(lambda: client.start_workflow(
                Ledger.run, id=name, task_queue=QUEUE, task_timeout=SHORT))
            told.runs[name] = handle.first_execution_run_id
            await told.grow()
        except WorkflowAlreadyStartedError:  # by an earlier call, which was not answered
            handle = client.get_workflow_handle(name)
        for number in range(SIGNALS):
            try:
                _, asked = await until_definite(lambda: handle.signal(Ledger.add, number))
            except RPCError as error:  # an attempt without an answer was the last signal that it waited for
                assert error.status == RPCStatusCode.NOT_FOUND and "already completed" in str(error), error
                asked = 1
            told.signals[name].add(number)
            if asked > 1:
                told.repeated.add(name)
            await told.grow()
        told.results[name], _ = await until_definite(handle.result)
        await told.grow()


class Engine:
    """On one port and one file, however often it is started."""

    def __init__(self, fleet):
        self.fleet, self.port = fleet, free_port()
        self.db = pathlib.Path(fleet.folder.name) / "engine.db"
        self.ready_s = []
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Started, and asked something that is answered."""
        begun = time.monotonic()
        self.process = self.fleet.start("flotilla-engine", [
            self.fleet.bin / "flotilla-engine", "--listen", self.address, "--db", self.db, "--log-level", "error"])
        self.process.address("grpc", PATIENCE_S)
        with grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            WorkflowServiceStub(channel).GetSystemInfo(GetSystemInfoRequest(), timeout=PATIENCE_S, wait_for_ready=True)
        self.ready_s.append(time.monotonic() - begun)

    def kill(self):
        os.kill(self.process.child.pid, signal.SIGKILL)
        self.process.child.wait()
        self.process.reader.join()
        self.process.child.stdout.close()
        self.fleet.processes.remove(self.process)


async def check(client, told, name):
    """One workflow's history against what was acknowledged of it."""
    handle = client.get_workflow_handle(name)
    description = await handle.describe()
    assert description.status == WorkflowExecutionStatus.COMPLETED, (name, description.status)
    assert told.runs.get(name) in (None, description.run_id), f"{name} is another run"
    history = await handle.fetch_history()
    assert [event.event_id for event in history.events] == list(range(1, len(history.events) + 1)), name
    ends = collections.Counter(event.activity_task_completed_event_attributes.scheduled_event_id
                               for event in history.events
                               if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
    assert len(ends) == STEPS and set(ends.values()) == {1}, (name, ends)
    result = await handle.result()
    assert told.results.get(name) in (None, result), f"{name} ended otherwise than it was told"
    for step, value in enumerate(result["values"]):
        assert value in effects[name, step], f"{name}: nobody did step {step}"
    signals = collections.Counter(result["seen"])
    assert told.signals[name] <= set(signals), f"{name} lost a signal"
    assert name in told.repeated or set(signals.values()) == {1}, (name, signals)


async def kills(fleet, kills=KILLS):
    engine, told, stop = Engine(fleet), Acknowledged(), asyncio.Event()
    engine.start()
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")))  # it warns of each lost connection
    client = await Client.connect(engine.address, runtime=quiet)
    async with Worker(client, task_queue=QUEUE, workflows=[Ledger], activities=[effect],
                      sticky_queue_schedule_to_start_timeout=timedelta(seconds=1)):
        users = [asyncio.ensure_future(use(client, told, stop)) for _ in range(CLIENTS)]
        try:
            for _ in range(kills):
                await told.until(told.count + ANSWERS)
                await asyncio.to_thread(engine.kill)
                await asyncio.to_thread(engine.start)
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*users)
        finally:
            for user in users:
                user.cancel()
            await asyncio.gather(*users, return_exceptions=True)
        for name in told.signals:
            await check(client, told, name)
    ready = sorted(engine.ready_s[1:])
    assert ready[-1] < READY_S, ready[-5:]
    print(f"      {kills} kills, {len(told.runs)} starts, {sum(map(len, told.signals.values()))} signals and "
          f"{len(told.results)} results acknowledged; ready again in {statistics.median(ready) * 1000:.0f} ms "
          f"(median), {ready[-1] * 1000:.0f} ms (the worst)", flush=True)
