# SPDX-License-Identifier: Apache-2.0
"""The echo job on Celery: the app that its worker loads, producers that await each result, and ones that only fill
the queue. COUNT and CONCURRENCY are multiples of 5. REDIS_PORT and VARIANT (default or tuned) are in the environment.

usage: celery -A jobs worker ...
       jobs.py loop COUNT CONCURRENCY     (prints one line of JSON)
       jobs.py fill COUNT"""
import collections
import json
import multiprocessing
import os
import sys
import time

from celery import Celery

PRODUCERS = 5
URL = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
# Tuned: messages are fetched ahead, and nothing is kept or sent that the echo does not need.
TUNED = {"worker_prefetch_multiplier": 64, "result_expires": 60, "worker_disable_rate_limits": True,
         "worker_enable_remote_control": False, "worker_send_task_events": False, "task_send_sent_event": False}
app = Celery("jobs", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(broker_connection_retry_on_startup=True, **(TUNED if os.environ["VARIANT"] == "tuned" else {}))


@app.task(name="echo")
def echo(value):
    return value


def produce(count, concurrency):
    """One producer: it holds so many results open; waiting for the oldest takes in the others that are there."""
    latencies, waiting = [], collections.deque()

    def send():
        begin = time.perf_counter()
        result = echo.delay("hello")
        result.then(lambda _: latencies.append(time.perf_counter() - begin))
        waiting.append(result)

    for _ in range(min(count, concurrency)):
        send()
    sent = len(waiting)
    while waiting:
        if waiting.popleft().get(timeout=60) != "hello":
            raise RuntimeError("a result is wrong")
        while sent < count and sent - len(latencies) < concurrency:
            send()
            sent += 1
    if len(latencies) != count:
        raise RuntimeError(f"{len(latencies)} results of {count}")
    return latencies


def fill_queue(count):
    for _ in range(count):
        echo.apply_async(("hello",), ignore_result=True)


def spread(step, *totals):
    """step with a share of the totals in each of PRODUCERS processes: a result's subscription is not for threads."""
    all_ready = multiprocessing.Barrier(PRODUCERS + 1)
    with multiprocessing.Pool(PRODUCERS, connect, (all_ready,)) as pool:
        all_ready.wait(timeout=60)
        begin = time.perf_counter()
        parts = pool.starmap(step, [[total // PRODUCERS for total in totals]] * PRODUCERS, chunksize=1)
        return parts, time.perf_counter() - begin


def connect(all_ready):
    """A producer has its connection before the clock runs."""
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection(max_retries=1)
    all_ready.wait(timeout=60)


def loop(count, concurrency):
    parts, seconds = spread(produce, count, concurrency)
    latencies = sorted(latency for part in parts for latency in part)

    def percentile(percent):  # nearest rank
        return latencies[max(0, -(-len(latencies) * percent // 100) - 1)] * 1000
    print(json.dumps({"completed": len(latencies), "elapsedMs": seconds * 1000,
                      "workflowsPerSecond": len(latencies) / seconds,
                      "p50Ms": percentile(50), "p95Ms": percentile(95), "p99Ms": percentile(99)}))


def fill(count):
    spread(fill_queue, count)


if __name__ == "__main__":
    {"loop": loop, "fill": fill}[sys.argv[1]](*map(int, sys.argv[2:]))
