# SPDX-License-Identifier: Apache-2.0
"""Build ids, a versioned deployment, and code that does not yield, as the servers and the official client see them
(tests/integration/modules/executors.c)."""
import asyncio
import pathlib
import uuid

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, VersioningBehavior
from temporalio.api.workflowservice.v1 import (DescribeWorkflowExecutionRequest,
                                               SetWorkerDeploymentCurrentVersionRequest)
from temporalio.service import RPCError

LIMIT = 30


def start_worker(fleet, args, queue, **settings):
    module = pathlib.Path(args.bin).resolve().parent / "tests/modules/executors.so"
    return fleet.worker("workflow-worker", str(module), queue, **settings)


async def events(handle, type_):
    return [e for e in (await handle.fetch_history()).events if e.event_type == EventType.Value("EVENT_TYPE_" + type_)]


async def eventually(question, what):
    for _ in range(LIMIT * 10):
        answer = await question()
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {LIMIT} s")


async def run(fleet, args):
    """A build id alone stands in the history; code that does not yield fails its task with its stack."""
    start_worker(fleet, args, "plain", build_id="build-7", deadlock_timeout="300ms")
    client = await fleet.client()
    nap = await client.start_workflow("NapWorkflow", 1, id=f"nap-{uuid.uuid4().hex[:8]}", task_queue="plain")
    assert await nap.result() == 1
    done = (await events(nap, "WORKFLOW_TASK_COMPLETED"))[0].workflow_task_completed_event_attributes
    assert done.worker_version.build_id == "build-7", done
    spin = await client.start_workflow("SpinWorkflow", 0, id=f"spin-{uuid.uuid4().hex[:8]}", task_queue="plain")
    failed = await eventually(lambda: events(spin, "WORKFLOW_TASK_FAILED"), "the failed task")
    failure = failed[0].workflow_task_failed_event_attributes.failure
    assert "[TMPRL1101]" in failure.message and "spin_the_wheel" in failure.stack_trace, failure
    nap = await client.start_workflow("NapWorkflow", 2, id=f"nap-{uuid.uuid4().hex[:8]}", task_queue="plain")
    assert await nap.result() == 2
    await spin.terminate()


async def versioned(fleet, args):
    """A deployment's worker gets tasks once its build is the current one, and its runs are pinned to it."""
    start_worker(fleet, args, "built", build_id="b1", deployment__name="fleet", deployment__versioned="true",
                 deployment__versioning_behavior="pinned")
    client = await fleet.client()

    async def make_current():
        try:
            return await client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(namespace=client.namespace, deployment_name="fleet",
                                                         build_id="b1"))
        except RPCError:
            return None  # its polls have not come yet
    await eventually(make_current, "the current version")
    nap = await client.start_workflow("NapWorkflow", 2, id=f"nap-{uuid.uuid4().hex[:8]}", task_queue="built")
    assert await nap.result() == 2
    info = (await client.workflow_service.describe_workflow_execution(DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=nap.id)))).workflow_execution_info
    assert info.versioning_info.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED, info
    assert info.versioning_info.deployment_version.build_id == "b1", info
