# SPDX-License-Identifier: Apache-2.0
"""What is around the calls, from grpcio and the Python SDK: reflection, the health's watch, API keys, limits, compressed
requests, TLS in both directions."""
import asyncio
import contextlib
import os
import pathlib
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from temporalio.api.common.v1 import GrpcStatus, WorkflowExecution
from temporalio.api.errordetails.v1 import PermissionDeniedFailure, ResourceExhaustedFailure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (DescribeWorkflowExecutionRequest, GetSystemInfoRequest,
                                               ListNamespacesRequest, PollWorkflowTaskQueueRequest, WorkflowServiceStub)
from temporalio.client import Client, TLSConfig
from temporalio.service import RPCError, RPCStatusCode

from fleet import Process

SERVICE = "temporal.api.workflowservice.v1.WorkflowService"


@contextlib.contextmanager
def engine(bin_dir, *args):
    process = Process("flotilla-engine", [pathlib.Path(bin_dir) / "flotilla-engine", "--listen", "127.0.0.1:0", *args])
    try:
        yield process.address("grpc"), process
    finally:
        process.stop()


class Reflection:
    """grpc.reflection by hand: grpcio has no classes of it without a further package."""

    def __init__(self, channel, version):
        self.call = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")

    @staticmethod
    def request(field, text):
        data = text.encode()
        return bytes([field << 3 | 2, len(data)]) + data

    @staticmethod
    def fields(data):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            tag = varint()
            if tag & 7 == 0:
                yield tag >> 3, varint()
            else:
                size = varint()
                yield tag >> 3, data[at:at + size]
                at += size

    def ask(self, *requests):
        """The answers, as (field of the response, its bytes)."""
        out = []
        for response in self.call(iter(requests), timeout=20):
            out += [(number, value) for number, value in self.fields(response) if number >= 4]
        return out


def everything_is_described(channel, version):
    """Every file of every service can be had and linked, as grpcurl does it."""
    reflection = Reflection(channel, version)
    (kind, answer), = reflection.ask(Reflection.request(7, "*"))
    assert kind == 6, (kind, answer)
    services = [dict(Reflection.fields(service))[1].decode() for _, service in Reflection.fields(answer)]
    assert SERVICE in services and f"grpc.reflection.{version}.ServerReflection" in services, services
    files = {}

    def fetch(request):
        (kind, answer), = reflection.ask(request)
        assert kind == 4, (kind, answer)
        for _, data in Reflection.fields(answer):
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            if file.name in files:
                continue
            files[file.name] = file
            for name in file.dependency:
                if name not in files:
                    fetch(Reflection.request(3, name))
    for service in services:
        fetch(Reflection.request(4, service))
    pool = descriptor_pool.DescriptorPool()

    def link(name):
        for needed in files[name].dependency:
            link(needed)
        pool.Add(files[name])
    for name in files:
        link(name)
    methods = pool.FindServiceByName(SERVICE).methods_by_name
    assert methods["StartWorkflowExecution"].input_type.fields_by_name["workflow_id"].number == 2
    assert methods["RespondWorkflowTaskCompleted"].output_type.name == "RespondWorkflowTaskCompletedResponse"
    (kind, answer), = reflection.ask(Reflection.request(4, "no.such.Thing"))
    assert kind == 7 and dict(Reflection.fields(answer))[1] == 5, (kind, answer)
    # Many questions in one stream, more than a window holds of answers that wait for their reader.
    answers = reflection.ask(*[Reflection.request(4, SERVICE)] * 200)
    assert len(answers) == 200 and len({data for _, data in answers}) == 1


def health(address, process):
    channel = grpc.insecure_channel(address)
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=20) == b"\x08\x01"
    assert check(b"\x0a" + bytes([len(SERVICE)]) + SERVICE.encode(), timeout=20) == b"\x08\x01"
    assert SERVICE.encode() in channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=20)
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
    whole, unknown = watch(b"", timeout=60), watch(b"\x0a\x02no", timeout=60)
    assert next(whole) == b"\x08\x01" and next(unknown) == b"\x08\x03"
    unknown.cancel()
    process.stop()
    assert next(whole) == b"\x08\x02"
    try:
        next(whole)
        raise AssertionError("the watch goes on")
    except grpc.RpcError as end:
        assert end.code() == grpc.StatusCode.UNAVAILABLE, end


def refusal(call, detail_type):
    """The code, the message and the detail of a call that is refused."""
    try:
        call()
    except grpc.RpcError as error:
        detail = None
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                detail = detail_type()
                if not GrpcStatus.FromString(value).details[0].Unpack(detail):
                    detail = None
        return error.code(), error.details(), detail
    raise AssertionError("it was served")


def make_key(bin_dir, file, namespace):
    return subprocess.run([pathlib.Path(bin_dir) / "flotilla", "keys", "api", file, namespace], check=True,
                          capture_output=True, text=True).stdout.strip()


async def keys(args):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "keys")
        mine, root = make_key(args.bin, file, "default"), make_key(args.bin, file, "*")
        with engine(args.bin, "--api-keys", file, "--namespace", "other") as (address, process):
            stub = WorkflowServiceStub(grpc.insecure_channel(address))

            def describe(namespace, key):
                return lambda: stub.DescribeWorkflowExecution(
                    DescribeWorkflowExecutionRequest(namespace=namespace, execution=WorkflowExecution(workflow_id="w")),
                    metadata=[("authorization", key)] if key else [], timeout=20)

            def code(namespace, key):
                return refusal(describe(namespace, key), PermissionDeniedFailure)
            unauthorized = "Request unauthorized."
            for key in (None, "Bearer nobody's", mine, "Basic " + mine):
                assert code("default", key) == (grpc.StatusCode.UNAUTHENTICATED, unauthorized, None), key
            assert code("default", "Bearer " + mine)[0] == grpc.StatusCode.NOT_FOUND
            assert code("other", "Bearer " + root)[0] == grpc.StatusCode.NOT_FOUND
            assert code("other", "Bearer " + mine) == (grpc.StatusCode.PERMISSION_DENIED, unauthorized,
                                                       PermissionDeniedFailure())
            assert code("", "Bearer " + mine)[0] == grpc.StatusCode.PERMISSION_DENIED
            stub.GetSystemInfo(GetSystemInfoRequest(), timeout=20)
            list_all = [lambda key=key: stub.ListNamespaces(ListNamespacesRequest(), timeout=20, metadata=[
                ("authorization", "Bearer " + key)]) for key in (mine, root)]
            assert refusal(list_all[0], PermissionDeniedFailure)[0] == grpc.StatusCode.PERMISSION_DENIED
            list_all[1]()
            channel = grpc.insecure_channel(address)
            assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20) == b"\x08\x01"
            try:
                Reflection(channel, "v1").ask(Reflection.request(7, ""))
                raise AssertionError("reflection without a key")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error
            # The SDK, with its own option.
            client = await Client.connect(address, api_key=mine, tls=False)
            assert [w async for w in client.list_workflows("")] == []
            try:
                client = await Client.connect(address, api_key="flo_nobody", tls=False)
                _ = [w async for w in client.list_workflows("")]
                raise AssertionError("a wrong key is served")
            except RPCError as error:
                assert error.status == RPCStatusCode.UNAUTHENTICATED, error
            # Our command line, by its option, its variable and a file.
            command = [pathlib.Path(args.bin) / "flotilla", "list", "--address", address]
            plain = {**os.environ, "TEMPORAL_TLS": "false"}
            secret = os.path.join(folder, "mine")
            with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
                out.write(mine + "\n")
            for more, env in ((["--api-key", mine], plain), ([], {**plain, "TEMPORAL_API_KEY": mine}),
                              ([], {**plain, "TEMPORAL_API_KEY_FILE": secret})):
                subprocess.run(command + more, env=env, check=True, capture_output=True)
            assert subprocess.run(command, env=plain, capture_output=True).returncode != 0
            # A new key is taken up by itself; one that is taken away is nobody's any more.
            new = make_key(args.bin, file, "default")
            with open(file) as text:
                lines = text.readlines()[1:]
            with open(file, "w") as text:
                text.writelines(lines)
            process.said('"access.keys_read"')
            while code("default", "Bearer " + mine)[0] != grpc.StatusCode.UNAUTHENTICATED:
                await asyncio.sleep(0.1)
            assert code("default", "Bearer " + new)[0] == grpc.StatusCode.NOT_FOUND


def limits(args):
    with engine(args.bin, "--dynamic-config-value", "frontend.namespaceRPS=0.01", "--namespace-concurrent", "2",
                "--namespace", "other") as (address, _):
        stub = WorkflowServiceStub(grpc.insecure_channel(address))

        def describe():
            stub.DescribeWorkflowExecution(DescribeWorkflowExecutionRequest(
                namespace="default", execution=WorkflowExecution(workflow_id="w")), timeout=20)
        assert refusal(describe, ResourceExhaustedFailure)[0] == grpc.StatusCode.NOT_FOUND  # a burst of one
        assert refusal(describe, ResourceExhaustedFailure) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded",
            ResourceExhaustedFailure(cause="RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT",
                                     scope="RESOURCE_EXHAUSTED_SCOPE_NAMESPACE"))
        for _ in range(5):
            stub.GetSystemInfo(GetSystemInfoRequest(), timeout=20)
    with engine(args.bin, "--namespace-concurrent", "2") as (address, _):
        stub = WorkflowServiceStub(grpc.insecure_channel(address))
        poll = PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name="q"), identity="i")
        open_polls = [stub.PollWorkflowTaskQueue.future(poll, timeout=60) for _ in range(3)]
        refused = None
        while refused is None:
            refused = next((p for p in open_polls if p.done()), None)
        assert refusal(refused.result, ResourceExhaustedFailure) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED, "namespace concurrent poller limit exceeded",
            ResourceExhaustedFailure(cause="RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT",
                                     scope="RESOURCE_EXHAUSTED_SCOPE_NAMESPACE"))
        for left in open_polls:
            left.cancel()  # makes room
        last = stub.PollWorkflowTaskQueue.future(poll, timeout=3)
        while last.done() and last.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            last = stub.PollWorkflowTaskQueue.future(poll, timeout=3)
        last.cancel()


def openssl(folder, *args):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    for name in ("server", "client"):
        openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.csr", "-subj", f"/CN={name}")
        with open(os.path.join(folder, "ext"), "w") as ext:
            ext.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "ext")


async def tls(args):
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        at = {name: os.path.join(folder, name) for name in os.listdir(folder)}
        file = {name: pathlib.Path(path).read_bytes() for name, path in at.items()}
        key_file = os.path.join(folder, "keys")
        key = make_key(args.bin, key_file, "default")
        served = ["--tls-cert", at["server.pem"], "--tls-key", at["server.key"], "--api-keys", key_file]
        for mutual in (False, True):
            more = ["--tls-client-ca", at["ca.pem"]] if mutual else []
            with engine(args.bin, *served, *more) as (address, _):
                mine = TLSConfig(server_root_ca_cert=file["ca.pem"], client_cert=file["client.pem"],
                                 client_private_key=file["client.key"])
                client = await Client.connect(address, api_key=key, tls=mine if mutual else TLSConfig(
                    server_root_ca_cert=file["ca.pem"]))
                assert [w async for w in client.list_workflows("")] == []
                command = [pathlib.Path(args.bin) / "flotilla", "list", "--address", address, "--api-key", key,
                           "--tls-ca-path", at["ca.pem"]]
                whole = command + ["--tls-cert-path", at["client.pem"], "--tls-key-path", at["client.key"]]
                subprocess.run(whole, check=True, capture_output=True)
                if not mutual:
                    continue
                assert subprocess.run(command, capture_output=True).returncode != 0
                for config in (TLSConfig(server_root_ca_cert=file["ca.pem"]), False):
                    try:
                        await Client.connect(address, api_key=key, tls=config)
                        raise AssertionError("served without a certificate")
                    except RuntimeError:
                        pass


def compressed(address):
    """gzip in requests, and a Describe of more than the window, both ways on one connection."""
    stub = WorkflowServiceStub(grpc.insecure_channel(address))
    request = DescribeWorkflowExecutionRequest(namespace="default", execution=WorkflowExecution(workflow_id="w" * 900))
    assert refusal(lambda: stub.DescribeWorkflowExecution(request, compression=grpc.Compression.Gzip, timeout=20),
                   ResourceExhaustedFailure)[0] == grpc.StatusCode.NOT_FOUND
    assert refusal(lambda: stub.DescribeWorkflowExecution(request, compression=grpc.Compression.Deflate, timeout=20),
                   ResourceExhaustedFailure)[0] == grpc.StatusCode.UNIMPLEMENTED


async def grpc_extras(args):
    with engine(args.bin) as (address, process):
        channel = grpc.insecure_channel(address)
        for version in ("v1", "v1alpha"):
            everything_is_described(channel, version)
        compressed(address)
        channel.close()
        health(address, process)
    await keys(args)
    limits(args)
    await tls(args)
