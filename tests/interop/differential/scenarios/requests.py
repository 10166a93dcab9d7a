# SPDX-License-Identifier: Apache-2.0
"""Requests that are no proper messages, too large, or to what does not exist."""
import grpc
from frame import Refused, payloads, refused, scenario


@scenario(differs={f"{call}: {label}": "the sentence says where" for call in ("signal", "start")
                   for label in ("not a message", "cut off", "a name that is not UTF-8")})
async def request_of_bad_bytes(p):
    """Not a message; not UTF-8; zero bytes in names; nothing at all where something must be."""
    bad = {"not a message": b"\xff\xff\xff", "cut off": b"\x0a\x20abc", "a name that is not UTF-8": b"\x0a\x03\xff\xfe\xfd",
           "an unknown field": b"\xfa\x7d\x03abc", "a field of another type": b"\x08\x05"}
    for label, raw in bad.items():
        await p.call("SignalWorkflowExecution", f"signal: {label}", raw=raw)
        await p.call("StartWorkflowExecution", f"start: {label}", raw=raw)


@scenario
async def request_over_the_limit(p):
    """More than the four megabytes that a message may have."""
    await p.start(input=payloads('"' + "x" * 5_000_000 + '"'))
    await p.signal(input=payloads('"' + "x" * 4_300_000 + '"'))


@scenario
async def request_of_unknown_methods(p):
    """Services and methods that nobody has."""
    for path in ("/temporal.api.workflowservice.v1.WorkflowService/NoSuchMethod", "/no.such.Service/Method",
                 "/temporal.api.operatorservice.v1.OperatorService/NoSuchMethod", "/grpc.health.v1.Health/NoSuchMethod",
                 "/temporal.api.workflowservice.v1.WorkflowService/", "/nothing"):
        try:
            await p.channel.unary_unary(path)(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            found = refused(error)
            p.note(path, f"{found.code}: {found.message}", *[d.type_url for d in found.details])


@scenario
async def request_of_health(p):
    """The standard health service, by name of service."""
    for label, raw in {"all": b"", "the workflow service": b"\x0a\x2c" + b"temporal.api.workflowservice.v1.WorkflowService"[:44],
                       "another": b"\x0a\x04none"}.items():
        try:
            answer = await p.channel.unary_unary("/grpc.health.v1.Health/Check")(raw, timeout=5)
            p.note(label, answer.hex())
        except grpc.aio.AioRpcError as error:
            p.note(label, f"{refused(error).code}: {refused(error).message}")


@scenario
async def request_of_an_unknown_namespace(p):
    """What every call says that names one."""
    import declared
    from frame import method_of
    for name in declared.methods():
        fields = method_of(name)[1].DESCRIPTOR.fields_by_name
        if "namespace" in fields and name in UNKNOWN:
            await p.call(name, timeout=8, namespace="no-such-namespace")


UNKNOWN = {
    "UpdateNamespace", "StartWorkflowExecution", "GetWorkflowExecutionHistory", "GetWorkflowExecutionHistoryReverse",
    "PollWorkflowTaskQueue", "PollActivityTaskQueue", "RecordActivityTaskHeartbeatById", "RespondActivityTaskCompletedById",
    "RespondActivityTaskFailedById", "RespondActivityTaskCanceledById", "RequestCancelWorkflowExecution",
    "SignalWorkflowExecution", "SignalWithStartWorkflowExecution", "TerminateWorkflowExecution", "DeleteWorkflowExecution",
    "ListOpenWorkflowExecutions", "ListClosedWorkflowExecutions", "ListWorkflowExecutions", "ScanWorkflowExecutions",
    "CountWorkflowExecutions", "ResetStickyTaskQueue", "ShutdownWorker", "QueryWorkflow", "DescribeWorkflowExecution",
    "DescribeTaskQueue", "UpdateWorkflowExecution", "PollWorkflowExecutionUpdate", "ExecuteMultiOperation",
    "RespondWorkflowTaskCompleted", "RespondWorkflowTaskFailed", "RespondActivityTaskCompleted", "RespondQueryTaskCompleted",
    "AddSearchAttributes", "RemoveSearchAttributes", "ListSearchAttributes"}
