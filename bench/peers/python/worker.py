# SPDX-License-Identifier: Apache-2.0
"""The workflows of modules/echo and modules/loadtest that the benchmark runs, served by the Python SDK."""
import argparse
import asyncio
import logging
import signal
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

TEN_SECONDS = timedelta(seconds=10)


@activity.defn(name="echo")
async def echo(value: Any) -> Any:
    return value


@workflow.defn(name="EchoWorkflow")
class EchoWorkflow:
    @workflow.run
    async def run(self, value: Any) -> Any:
        return await workflow.execute_activity(echo, value, start_to_close_timeout=TEN_SECONDS)


@workflow.defn(name="ChainWorkflow")
class ChainWorkflow:
    @workflow.run
    async def run(self, given: dict[str, int]) -> int:
        total = 0
        for i in range(given["n"]):
            total += await workflow.execute_activity(echo, i, start_to_close_timeout=TEN_SECONDS)
        return total


@workflow.defn(name="FanWorkflow")
class FanWorkflow:
    @workflow.run
    async def run(self, given: dict[str, int]) -> int:
        return sum(await asyncio.gather(*[
            workflow.execute_activity(echo, i, start_to_close_timeout=TEN_SECONDS) for i in range(given["n"])]))


@workflow.defn(name="SignalWorkflow")
class SignalWorkflow:
    def __init__(self) -> None:
        self.pings = 0

    @workflow.signal
    def ping(self) -> None:
        self.pings += 1

    @workflow.run
    async def run(self, given: dict[str, int]) -> int:
        await workflow.wait_condition(lambda: self.pings >= given["n"])
        return given["n"]


@workflow.defn(name="TimerWorkflow")
class TimerWorkflow:
    @workflow.run
    async def run(self, given: dict[str, int]) -> int:
        await asyncio.gather(*[asyncio.sleep(given["ms"] / 1000) for _ in range(given["n"])])
        return given["n"]


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1:7233")
    parser.add_argument("--task-queue", default="benchmark")
    parser.add_argument("--polls", type=int, default=10)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--activity-polls", type=int, default=10)
    parser.add_argument("--activity-slots", type=int, default=100)
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(await Client.connect(args.address), task_queue=args.task_queue,
                      activities=[echo],
                      workflows=[EchoWorkflow, ChainWorkflow, FanWorkflow, SignalWorkflow, TimerWorkflow],
                      max_concurrent_workflow_tasks=args.slots, max_concurrent_activities=args.activity_slots,
                      workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(args.polls),
                      activity_task_poller_behavior=PollerBehaviorSimpleMaximum(args.activity_polls)):
        print("python-worker: ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
