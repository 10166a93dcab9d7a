# SPDX-License-Identifier: Apache-2.0
"""Encrypted and compressed payloads, shared with the official Python SDK: the codec of Temporal's encryption samples
(AES-256-GCM of the whole payload) and zstd before it, on both sides. A Python client with a C workflow and C activities
of both roles; a Python workflow with a C activity; what lies on the server is not readable."""
import asyncio
import base64
import os
import pathlib
import secrets
import uuid
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "sealed"
TEXT = "a sentence that nobody else reads "


class Sealed(PayloadCodec):
    def __init__(self, key_id, key):
        # Not at the top: the SDK's sandbox loads this file for each workflow, and these are not to be loaded twice.
        import zstandard
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        self.key_id, self.cipher, self.zstd = key_id.encode(), AESGCM(key), zstandard

    async def encode(self, payloads):
        out = []
        for payload in payloads:
            plain = payload.SerializeToString()
            if len(plain) > 1024:
                payload = Payload(metadata={"encoding": b"binary/zstd"},
                                  data=self.zstd.ZstdCompressor(write_content_size=True).compress(plain))
                plain = payload.SerializeToString()
            nonce = secrets.token_bytes(12)
            out.append(Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": self.key_id},
                               data=nonce + self.cipher.encrypt(nonce, plain, None)))
        return out

    async def decode(self, payloads):
        out = []
        for payload in payloads:
            assert payload.metadata["encoding"] == b"binary/encrypted", payload.metadata
            assert payload.metadata["encryption-key-id"] == self.key_id
            inner = Payload.FromString(self.cipher.decrypt(payload.data[:12], payload.data[12:], None))
            if inner.metadata["encoding"] == b"binary/zstd":
                inner = Payload.FromString(self.zstd.ZstdDecompressor().decompress(inner.data))
            out.append(inner)
        return out


@workflow.defn
class PythonSealed:
    @workflow.run
    async def run(self, value: str, queue: str) -> str:
        return await workflow.execute_activity("echo", value, task_queue=queue,
                                               start_to_close_timeout=timedelta(seconds=20))


def new_id():
    return f"sealed-{uuid.uuid4().hex[:10]}"


async def run(fleet, args):
    bare = await fleet.client()
    folder = pathlib.Path(fleet.folder.name)
    key, key_file = secrets.token_bytes(32), folder / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(f"k1 {base64.b64encode(key).decode()}\n")
    client = await Client.connect(fleet.target, data_converter=DataConverter(payload_codec=Sealed("k1", key)))
    for role in ("workflow-worker", "io-activity-worker"):
        fleet.worker(role, "echo", QUEUE, codec__key_file=key_file, codec__zstd="true")
    fleet.worker("cpu-activity-worker", "echo", f"{QUEUE}-cpu", codec__key_file=key_file, codec__zstd="true")
    for value in (TEXT, TEXT * 1000, None, {"n": [1, 2]}):
        workflow_id = new_id()
        assert await client.execute_workflow("EchoWorkflow", value, id=workflow_id, task_queue=QUEUE) == value
        stored = await bare.get_workflow_handle(workflow_id).fetch_history()
        bytes_ = b"".join(event.SerializeToString() for event in stored.events)
        assert b"sentence" not in bytes_ and b"binary/encrypted" in bytes_
        assert len(bytes_) < 20000, len(bytes_)  # 34,000 characters, four times, compressed
    async with Worker(client, task_queue="py", workflows=[PythonSealed], workflow_runner=UnsandboxedWorkflowRunner()):
        for queue in (QUEUE, f"{QUEUE}-cpu"):  # on a thread, and in a process
            assert await client.execute_workflow(PythonSealed.run, args=[TEXT, queue], id=new_id(), task_queue="py") == TEXT
    await wrong_key(fleet, client, folder)


async def wrong_key(fleet, client, folder):
    """A worker with another key fails what comes, by name, and one with the right key goes on from there."""
    other = folder / "other"
    other.touch(mode=0o600)
    other.write_text(f"k2 {base64.b64encode(os.urandom(32)).decode()}\n")
    worker = fleet.worker("workflow-worker", "echo", "wrong", codec__key_file=other)
    handle = await client.start_workflow("EchoWorkflow", TEXT, id=new_id(), task_queue="wrong",
                                         task_timeout=timedelta(seconds=1))
    for _ in range(200):
        events = (await handle.fetch_history()).events
        failed = [e.workflow_task_failed_event_attributes.failure.message for e in events
                  if e.HasField("workflow_task_failed_event_attributes")]
        if failed:
            break
        await asyncio.sleep(0.05)
    assert failed and 'encrypted with the key "k1"' in failed[0], failed
    assert worker.stop() == 0
    fleet.worker("workflow-worker", "echo", "wrong", codec__key_file=folder / "key")
    fleet.worker("io-activity-worker", "echo", "wrong", codec__key_file=folder / "key")
    try:
        assert await asyncio.wait_for(handle.result(), 30) == TEXT
    except WorkflowFailureError as failure:
        raise AssertionError("it should go on once the key is there") from failure
