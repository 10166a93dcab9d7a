# SPDX-License-Identifier: Apache-2.0
"""The echo job on arq: its worker, a producer that awaits each result, and one that only fills the queue.

usage: jobs.py PORT default|tuned worker
       jobs.py PORT default|tuned loop COUNT CONCURRENCY     (prints one line of JSON)
       jobs.py PORT default|tuned fill COUNT"""
import asyncio
import json
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

# max_jobs 10, poll_delay 0.5 s for the queue and 0.5 s for a result are the defaults.
WORKER = {"default": {}, "tuned": {"max_jobs": 100, "queue_read_limit": 200, "poll_delay": 0.005, "keep_result": 60,
                                   "log_results": False}}
AWAIT = {"default": {}, "tuned": {"poll_delay": 0.02}}


async def echo(ctx, value):
    return value


async def loop(port, variant, count, concurrency):
    pool = await create_pool(RedisSettings(port=port))
    latencies, started = [], 0

    async def producer():
        nonlocal started
        while started < count:
            started += 1
            begin = time.perf_counter()
            job = await pool.enqueue_job("echo", "hello")
            if await job.result(**AWAIT[variant]) != "hello":
                raise RuntimeError("a result is wrong")
            latencies.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    await asyncio.gather(*[producer() for _ in range(concurrency)])
    seconds = time.perf_counter() - begin
    latencies.sort()

    def percentile(percent):  # nearest rank
        return latencies[max(0, -(-len(latencies) * percent // 100) - 1)] * 1000
    print(json.dumps({"completed": len(latencies), "elapsedMs": seconds * 1000,
                      "workflowsPerSecond": len(latencies) / seconds,
                      "p50Ms": percentile(50), "p95Ms": percentile(95), "p99Ms": percentile(99)}))


async def fill(port, count):
    pool = await create_pool(RedisSettings(port=port))
    left = count

    async def producer():
        nonlocal left
        while left > 0:
            left -= 1
            await pool.enqueue_job("echo", "hello")
    await asyncio.gather(*[producer() for _ in range(50)])


def main():
    port, variant, what, numbers = int(sys.argv[1]), sys.argv[2], sys.argv[3], list(map(int, sys.argv[4:]))
    if variant == "tuned":
        import uvloop
        uvloop.install()
        asyncio.set_event_loop(asyncio.new_event_loop())
    if what == "worker":
        Worker([echo], redis_settings=RedisSettings(port=port), **WORKER[variant]).run()
    elif what == "loop":
        asyncio.get_event_loop().run_until_complete(loop(port, variant, *numbers))
    else:
        asyncio.get_event_loop().run_until_complete(fill(port, *numbers))


if __name__ == "__main__":
    main()
