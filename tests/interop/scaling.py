# SPDX-License-Identifier: Apache-2.0
"""The depth of queues while a backlog is made and drained, and a generated gRPC client that asks as KEDA does."""
import asyncio
import importlib
import pathlib
import re
import sys
import urllib.request
import uuid

WORKFLOWS, QUEUE = 23, "depth"
SERVICE = """
service ExternalScaler {
  rpc IsActive(ScaledObjectRef) returns (IsActiveResponse) {}
  rpc StreamIsActive(ScaledObjectRef) returns (stream IsActiveResponse) {}
  rpc GetMetricSpec(ScaledObjectRef) returns (GetMetricSpecResponse) {}
  rpc GetMetrics(GetMetricsRequest) returns (GetMetricsResponse) {}
}
"""


def generated(folder):
    """The modules that protoc makes of our file and KEDA's service."""
    from grpc_tools import protoc
    text = (pathlib.Path(__file__).parents[2] / "proto/externalscaler.proto").read_text()
    lines = [line for line in text.splitlines() if "pb_c_file" not in line and "protobuf-c.proto" not in line]
    (folder / "externalscaler.proto").write_text("\n".join(lines) + SERVICE)
    assert protoc.main(["protoc", f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                        "externalscaler.proto"]) == 0
    sys.path.insert(0, str(folder))
    return importlib.import_module("externalscaler_pb2"), importlib.import_module("externalscaler_pb2_grpc")


def supervisor(fleet):
    folder = pathlib.Path(fleet.folder.name)
    config = folder / "scaling.yaml"
    config.write_text(f"state_dir: {folder}/scaling\nengine: {{enabled: false}}\nserver: {{address: \"{fleet.target}\"}}\n"
                      f"scaling: {{grpc: \"127.0.0.1:0\", min: 0, backlog_interval: 500ms, queues: ["
                      f"{{name: {QUEUE}, role: workflow}}, {{name: {QUEUE}, role: io-activity}}]}}\n"
                      "health: {port: 0}\nmetrics: {port: 0}\n")
    return fleet.start("supervisor", [fleet.bin / "flotilla-supervisor", "--config", config])


def depths(process, kind):
    """The elements of the KEDA guide's query."""
    with urllib.request.urlopen(f"http://{process.address('http')}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return [float(value) for value in
            re.findall(rf'^temporal_{kind}_task_queue_depth\{{[^}}]*\bqueue="{QUEUE}"[^}}]*\}} (\S+)$', text, re.M)]


async def until(process, kind, want, timeout=60):
    """Until the query has one element, with that value."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        found = await asyncio.to_thread(depths, process, kind)
        assert len(found) <= 1, found
        if found == [want]:
            return
        assert asyncio.get_running_loop().time() < deadline, f"{kind}: {found}, not {want}"
        await asyncio.sleep(0.2)


async def warmed_up(call, timeout=30):
    """The answer, once there is one: a scaler that has just started says nothing yet."""
    import grpc
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            assert asyncio.get_running_loop().time() < deadline, error
            await asyncio.sleep(0.2)


async def depth(fleet, args):
    """Made without workers, moved on by the workflow worker alone, drained by the IO worker: the depth is each time what
    waits, and the scaler says the same."""
    import grpc
    client, process = await fleet.client(), supervisor(fleet)
    messages, services = generated(pathlib.Path(fleet.folder.name))
    async with grpc.aio.insecure_channel(process.address("grpc")) as channel:
        scaler = services.ExternalScalerStub(channel)
        workflows = messages.ScaledObjectRef(name="x", namespace="y", scalerMetadata={"role": "workflow"})
        activities = messages.ScaledObjectRef(name="x", namespace="y", scalerMetadata={
            "role": "io-activity", "queue": QUEUE, "metric": "backlog", "target": "2.5"})
        await until(process, "workflow", 0)
        assert not (await warmed_up(lambda: scaler.IsActive(workflows))).result
        stream = scaler.StreamIsActive(workflows)
        assert not (await stream.read()).result
        started = [await client.start_workflow("EchoWorkflow", i, id=f"depth-{uuid.uuid4()}", task_queue=QUEUE)
                   for i in range(WORKFLOWS)]
        assert (await asyncio.wait_for(stream.read(), 20)).result  # pushed
        await until(process, "workflow", WORKFLOWS)
        value, = (await scaler.GetMetrics(messages.GetMetricsRequest(
            scaledObjectRef=workflows, metricName="m"))).metricValues
        assert (value.metricName, value.metricValue, value.metricValueFloat) == ("m", 3, 3.0), value  # 23 / 10
        fleet.worker("workflow-worker", "echo", QUEUE)
        await until(process, "workflow", 0)
        await until(process, "activity", WORKFLOWS)
        spec, = (await scaler.GetMetricSpec(activities)).metricSpecs
        assert spec.targetSizeFloat == 2.5, spec
        value, = (await scaler.GetMetrics(messages.GetMetricsRequest(scaledObjectRef=activities))).metricValues
        assert value.metricValue == WORKFLOWS, value
        fleet.worker("io-activity-worker", "echo", QUEUE)
        assert await asyncio.gather(*[handle.result() for handle in started]) == list(range(WORKFLOWS))
        await until(process, "activity", 0)
        await until(process, "workflow", 0)
        stream.cancel()
