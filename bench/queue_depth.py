# SPDX-License-Identifier: Apache-2.0
"""How deep a task queue is while a load runs, by the server's own count (DescribeTaskQueue with its statistics).

Imported, it starts itself as a process of the official Python SDK's interpreter, which has the client."""
import asyncio
import json
import select
import signal
import subprocess
import sys

EVERY_S = 0.2
START_S = 30


class DepthProbe:
    """Samples the workflow and the activity queue until stop(), which gives {"max", "mean", "samples"}, or None when
    there is no SDK to ask with."""

    def __init__(self, args, target, queue):
        python = args.peers / "venv/bin/python"
        self.child = None
        if "python_sdk" not in args.without and python.exists():
            self.child = subprocess.Popen([python, __file__, target, queue], stdout=subprocess.PIPE, text=True)
            try:
                if not (select.select([self.child.stdout], [], [], START_S)[0] and self.child.stdout.readline()):
                    raise RuntimeError(f"the probe of the queues' depth did not connect within {START_S} s")
            except BaseException:
                self.kill()
                raise

    def kill(self):
        self.child.kill()
        self.child.communicate()

    def stop(self):
        if not self.child:
            return None
        self.child.send_signal(signal.SIGTERM)
        try:
            out, _ = self.child.communicate(timeout=20)
        except BaseException:
            self.kill()
            raise
        if self.child.returncode:
            raise RuntimeError("the depth of the queues could not be read")
        return json.loads(out)


async def sample(target, queue):
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
    from temporalio.client import Client
    client = await Client.connect(target)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("connected", flush=True)
    kinds = [TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY]
    depths = []
    while not stop.is_set():
        answers = [await client.workflow_service.describe_task_queue(DescribeTaskQueueRequest(
            namespace="default", task_queue=TaskQueue(name=queue), task_queue_type=kind, report_stats=True))
            for kind in kinds]
        depths.append([answer.stats.approximate_backlog_count for answer in answers])
        try:
            await asyncio.wait_for(stop.wait(), EVERY_S)
        except TimeoutError:
            pass
    print(json.dumps({"max": max(map(max, depths)), "samples": len(depths),
                      "mean": sum(map(sum, depths)) / len(depths) / len(kinds)}))


if __name__ == "__main__":
    asyncio.run(sample(*sys.argv[1:]))
