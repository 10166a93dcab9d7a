# SPDX-License-Identifier: Apache-2.0
"""Headers that travel, between the official Python SDK's interceptors and ours: a Python client and a C workflow, whose
calls reach C and Python activities and a Python child; a Python workflow and a C activity."""
import pathlib
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, Interceptor as ClientInterceptor, OutboundInterceptor, WorkflowFailureError
from temporalio.converter import default
from temporalio.worker import (ActivityInboundInterceptor, Interceptor, UnsandboxedWorkflowRunner, Worker,
                               WorkflowInboundInterceptor, WorkflowOutboundInterceptor)

QUEUE, PYTHON = "intercept", "intercept-python"
TENANT = {"name": "acme", "plan": 3}
KEYS = ("tenant", "stamp", "fleet")
last = {}  # of the activity at hand; of the workflow that began last


def read(headers):
    values = default().payload_converter
    return {key: values.from_payload(headers[key]) if key in headers else None for key in KEYS}


def with_header(call, key, value):
    call.headers = {**call.headers, key: default().payload_converter.to_payload(value)}
    return call


class Sends(ClientInterceptor):
    def intercept_client(self, next):
        class Out(OutboundInterceptor):
            async def start_workflow(self, input):
                return await super().start_workflow(with_header(with_header(input, "tenant", TENANT), "fleet", 9))
        return Out(next)


class Around(Interceptor):
    def intercept_activity(self, next):
        class In(ActivityInboundInterceptor):
            async def execute_activity(self, input):
                last["activity"] = read(input.headers)
                return await super().execute_activity(input)
        return In(next)

    def workflow_interceptor_class(self, input):
        class Out(WorkflowOutboundInterceptor):
            def start_activity(self, input):
                return super().start_activity(with_header(input, "tenant", "from python"))

        class In(WorkflowInboundInterceptor):
            def init(self, outbound):
                super().init(Out(outbound))

            async def execute_workflow(self, input):
                last["workflow"] = read(input.headers)
                return await super().execute_workflow(input)
        return In


@activity.defn(name="seen")
async def seen() -> dict:
    return last["activity"]


@workflow.defn(name="Kid")
class Kid:
    @workflow.run
    async def run(self) -> dict:
        return last["workflow"]


@workflow.defn(name="Asks")
class Asks:
    @workflow.run
    async def run(self) -> dict:
        return await workflow.execute_activity("seen", task_queue=QUEUE, start_to_close_timeout=timedelta(seconds=30))


def new_id():
    return f"headers-{uuid.uuid4().hex[:10]}"


async def run(fleet, args):
    bare = await fleet.client()
    client = await Client.connect(fleet.target, interceptors=[Sends()])
    module = str(pathlib.Path(args.bin).resolve().parent / "tests/modules/intercept.so")
    fleet.worker("workflow-worker", module, QUEUE, propagate_headers="fleet")
    fleet.worker("io-activity-worker", module, QUEUE)
    expected = {"tenant": TENANT, "stamp": "Headers", "fleet": 9}
    async with Worker(bare, task_queue=PYTHON, workflows=[Kid, Asks], activities=[seen], interceptors=[Around()],
                      workflow_runner=UnsandboxedWorkflowRunner()):
        for again in (False, True):
            handle = await client.start_workflow("Headers", {"queue": PYTHON, "child": "Kid", "again": again},
                                                 id=new_id(), task_queue=QUEUE)
            result = await handle.result()
            assert result == {at: expected for at in ("local", "here", "there", "child")}, result
            assert await handle.query("tenant") == TENANT
        result = await bare.execute_workflow("Asks", id=new_id(), task_queue=PYTHON)
        assert result == {"tenant": "from python", "stamp": None, "fleet": None}, result
        try:
            await bare.execute_workflow("Headers", {}, id=new_id(), task_queue=QUEUE)
            raise AssertionError("it ran without a tenant")
        except WorkflowFailureError as failure:
            assert failure.cause.type == "NoTenant", failure.cause
