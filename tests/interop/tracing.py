# SPDX-License-Identifier: Apache-2.0
"""One trace through the official Python SDK's tracing interceptor and our workers: a Python client, a C workflow, C and
Python activities; a Python workflow with a C activity. Python's spans come from memory, ours over OTLP."""
import asyncio
import pathlib
import uuid
from datetime import timedelta

from google.protobuf import json_format
from opentelemetry.propagate import inject
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from otlp import Collector

QUEUE, PYTHON = "trace", "trace-python"


@activity.defn
async def where() -> str:
    carrier = {}
    inject(carrier)
    return carrier["traceparent"]


@workflow.defn(name="PythonTrace")
class PythonTrace:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity("where", task_queue=QUEUE, start_to_close_timeout=timedelta(seconds=30))


@workflow.defn(name="PythonTree")
class PythonTree:
    """A child, then itself again: the server passes these headers on."""
    @workflow.run
    async def run(self, again: bool) -> str:
        await workflow.execute_child_workflow("PythonTrace", id=f"{workflow.info().workflow_id}-child-{again}")
        if again:
            workflow.continue_as_new(False)
        return "done"


def python_spans(exporter):
    """As the collector has ours: id, parent's id, name, trace's id, links."""
    def hexed(number, digits):
        return format(number, f"0{digits}x")
    return [{"name": s.name, "spanId": hexed(s.context.span_id, 16), "traceId": hexed(s.context.trace_id, 32),
             "parentSpanId": hexed(s.parent.span_id, 16) if s.parent else None}
            for s in exporter.get_finished_spans()]


def paths(spans):
    """Each span as the names from the root down to it, sorted; none is missing in between."""
    by_id = {s["spanId"]: s for s in spans}
    assert len(by_id) == len(spans), "a span came twice: " + str(sorted(s["name"] for s in spans))

    def path(span):
        parent = span.get("parentSpanId")
        assert not parent or parent in by_id, (span["name"], parent)
        return (path(by_id[parent]) + " > " if parent else "") + span["name"]
    return sorted(map(path, spans))


RUN = "StartWorkflow:Trace > RunWorkflow:Trace"
EXPECTED = sorted([
    "StartWorkflow:Trace", RUN, f"{RUN} > CompleteWorkflow:Trace",
    *[f"{RUN} > StartActivity:where"] * 3, *[f"{RUN} > StartActivity:where > RunActivity:where"] * 3,
    f"{RUN} > StartActivity:flaky", *[f"{RUN} > StartActivity:flaky > RunActivity:flaky"] * 2])
FAIL = "StartWorkflow:TraceFail > RunWorkflow:TraceFail"
EXPECTED_FAIL = sorted(["StartWorkflow:TraceFail", FAIL, f"{FAIL} > HandleSignal:go", f"{FAIL} > StartActivity:where",
                        f"{FAIL} > StartActivity:where > RunActivity:where", f"{FAIL} > CompleteWorkflow:TraceFail"])
EXPECTED_PYTHON = sorted([
    "StartWorkflow:PythonTrace", "StartWorkflow:PythonTrace > RunWorkflow:PythonTrace",
    "StartWorkflow:PythonTrace > StartActivity:where",
    "StartWorkflow:PythonTrace > StartActivity:where > RunActivity:where",
    "StartWorkflow:PythonTrace > CompleteWorkflow:PythonTrace"])


TREE = "StartWorkflow:PythonTree"
CHILD = f"{TREE} > StartChildWorkflow:PythonTrace"
EXPECTED_TREE = sorted([TREE, f"{TREE} > CompleteWorkflow:PythonTree",
                        *2 * [f"{TREE} > RunWorkflow:PythonTree", CHILD, f"{CHILD} > RunWorkflow:PythonTrace",
                              f"{CHILD} > StartActivity:where", f"{CHILD} > StartActivity:where > RunActivity:where",
                              f"{CHILD} > CompleteWorkflow:PythonTrace"]])


class Tracing:
    def __init__(self, fleet, args, collector):
        self.fleet, self.collector = fleet, collector
        self.module = str(pathlib.Path(args.bin).resolve().parent / "tests/modules/trace.so")
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.interceptor = TracingInterceptor(provider.get_tracer("interop"))

    def worker(self, role, **settings):
        return self.fleet.worker(role, self.module, QUEUE, otlp__endpoint=self.collector.url, otlp__interval="1s",
                                 otlp__span_delay="50ms", **settings)

    def of(self, trace_id):
        mine = [s for s in python_spans(self.exporter) if s["traceId"] == trace_id]
        return mine + [s for s in self.collector.spans if s["traceId"] == trace_id]

    async def expect(self, start, expected):
        """The spans of the trace that begins with the newest span of that name are those."""
        root = [s for s in python_spans(self.exporter) if s["name"] == start][-1]
        for _ in range(200):
            if len(self.of(root["traceId"])) >= len(expected):
                break
            await asyncio.sleep(0.05)
        assert not self.collector.mistakes, self.collector.mistakes
        spans = self.of(root["traceId"])
        assert paths(spans) == expected, "\n".join(["got:", *paths(spans), "expected:", *expected])
        return spans

    async def scenario(self, client):
        for cached in (True, False):
            worker = self.worker("workflow-worker", **({} if cached else {"sticky_cache__max_entries": 0}))
            places = await client.execute_workflow("Trace", {"queues": [PYTHON]}, id=f"trace-{uuid.uuid4().hex[:10]}",
                                                   task_queue=QUEUE)
            spans = {s["spanId"]: s["name"] for s in await self.expect("StartWorkflow:Trace", EXPECTED)}
            assert [spans[p.split("-")[2]] for p in places] == ["RunWorkflow:Trace", "RunActivity:where",
                                                                "RunActivity:where", "RunActivity:flaky",
                                                                "RunActivity:where"], (places, spans)
            handle = await client.start_workflow("TraceFail", id=f"fail-{uuid.uuid4().hex[:10]}", task_queue=QUEUE)
            await handle.signal("go")
            try:
                await handle.result()
                raise AssertionError("TraceFail completed")
            except WorkflowFailureError:
                pass
            await self.expect("StartWorkflow:TraceFail", EXPECTED_FAIL)
            sent = [s for s in python_spans(self.exporter) if s["name"] == "SignalWorkflow:go"][-1]
            handled = self.collector.named("HandleSignal:go")[-1]
            assert handled["links"] == [{k: sent[k] for k in ("traceId", "spanId")}], (handled, sent)
            await asyncio.to_thread(worker.stop)
        await client.execute_workflow("PythonTrace", id=f"py-{uuid.uuid4().hex[:10]}", task_queue=PYTHON)
        await self.expect("StartWorkflow:PythonTrace", EXPECTED_PYTHON)
        await client.execute_workflow("PythonTree", True, id=f"tree-{uuid.uuid4().hex[:10]}", task_queue=PYTHON)
        await self.expect("StartWorkflow:PythonTree", EXPECTED_TREE)


def as_specified(collector):
    """OpenTelemetry's own protobuf definitions take every request, with all of its members."""
    kinds = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
    for path, _, body in collector.requests:
        json_format.Parse(body, kinds[path]())
    assert {path for path, _, _ in collector.requests} == set(kinds)


async def one_trace(fleet, args):
    await fleet.client()  # the server is up
    collector = Collector()
    tracing = Tracing(fleet, args, collector)
    client = await Client.connect(fleet.target, interceptors=[tracing.interceptor])
    tracing.worker("io-activity-worker")
    try:
        async with Worker(client, task_queue=PYTHON, activities=[where], workflows=[PythonTrace, PythonTree],
                          workflow_runner=UnsandboxedWorkflowRunner()):
            await tracing.scenario(client)
        as_specified(collector)
    finally:
        collector.close()
