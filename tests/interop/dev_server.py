# SPDX-License-Identifier: Apache-2.0
"""The engine in the place of Temporal's dev server: started by the SDK's own helper for tests, by both of its paths."""
import asyncio
import pathlib
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

FIELD = SearchAttributeKey.for_int("FleetSize")
QUEUE = "dev-server"


@activity.defn
async def greet(name: str) -> str:
    return f"hello {name}"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn
class UntilSuggested:
    @workflow.run
    async def run(self) -> int:
        while not workflow.info().is_continue_as_new_suggested():
            await asyncio.sleep(0.01)
        return workflow.info().get_current_history_length()


async def use(path, **options):
    """A workflow with an attribute of the helper's making, in a namespace of its making, within a limit of its."""
    async with await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(path), namespace="their-own", search_attributes=[FIELD],
            dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=20"], **options) as env:
        async with Worker(env.client, task_queue=QUEUE, workflows=[Greeting, UntilSuggested], activities=[greet]):
            workflow_id = f"greeting-{uuid.uuid4()}"
            attributes = TypedSearchAttributes([SearchAttributePair(FIELD, 7)])
            assert await env.client.execute_workflow(Greeting.run, "dev", id=workflow_id, task_queue=QUEUE,
                                                     search_attributes=attributes) == "hello dev"
            found = [w.id async for w in env.client.list_workflows(f"FleetSize = 7 AND WorkflowId = '{workflow_id}'")]
            assert found == [workflow_id], found
            length = await env.client.execute_workflow(UntilSuggested.run, id=f"until-{uuid.uuid4()}", task_queue=QUEUE)
            assert 20 <= length < 40, length


async def dev_server(args):
    programs = pathlib.Path(args.bin).resolve()
    await use(programs / "flotilla")
    await use(programs / "flotilla-engine", ui=True)
