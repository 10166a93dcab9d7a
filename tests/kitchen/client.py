# SPDX-License-Identifier: Apache-2.0
"""A client of the server for many workflows at once: calls over the bridge (bridge.c), as coroutines."""
import asyncio
import base64
import json
import socket
import uuid

OK, NOT_FOUND, ALREADY_EXISTS, NOT_READY = 0, 5, 6, 9
PASSING = {1, 4, 8, 10, 14}  # cancelled, deadline, exhausted, aborted, unavailable: the server is away, or busy
CLOSE = "HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT"


class CallError(Exception):
    def __init__(self, call, code, message):
        super().__init__(f"{call}: code {code}: {message}")
        self.code, self.message = code, message


def b64(data):
    return base64.b64encode(data).decode()


def payloads(*values):
    return {"payloads": [{"metadata": {"encoding": b64(b"json/plain")}, "data": b64(json.dumps(v).encode())}
                         for v in values]}


def value_of(message):
    """The first of some payloads; None for none."""
    for payload in (message or {}).get("payloads", []):
        data = base64.b64decode(payload.get("data", ""))
        return json.loads(data) if data else None
    return None


def failure_type(failure):
    """The type of the application failure at the end of the chain."""
    while failure.get("cause"):
        failure = failure["cause"]
    return failure.get("applicationFailureInfo", {}).get("type", failure.get("message", ""))


class Client:
    """One connection. Every call is tried again while the server is away."""

    @classmethod
    async def open(cls, bridge, target):
        self = cls()
        ours, theirs = socket.socketpair()
        self.process = await asyncio.create_subprocess_exec(str(bridge), target, stdin=theirs)
        theirs.close()
        self.reader, self.writer = await asyncio.open_connection(sock=ours, limit=1 << 28)
        self.waiting, self.last = {}, 0
        self.task = asyncio.create_task(self._read())
        return self

    async def close(self):
        self.writer.close()
        await self.process.wait()
        await self.task

    async def _read(self):
        while line := await self.reader.readline():
            answer = json.loads(line)
            future = self.waiting.pop(answer["id"])
            if not future.done():
                future.set_result(answer)
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(CallError("bridge", 13, "it has ended"))

    async def once(self, call, request):
        self.last += 1
        future = self.waiting[self.last] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": self.last, "call": call, "request": request})
        self.writer.write(line.encode() + b"\n")
        answer = await future
        if answer["code"] != OK:
            raise CallError(call, answer["code"], answer["message"])
        return answer["response"] or {}

    async def call(self, call, **request):
        while True:
            try:
                return await self.once(call, request)
            except CallError as error:
                if error.code not in PASSING:
                    raise
            await asyncio.sleep(0.1)

    # ---- what the tests say

    async def start(self, workflow_id, queue, given, task_timeout, attempts=0):
        more = {"retryPolicy": {"initialInterval": "0.02s", "maximumAttempts": attempts}} if attempts else {}
        try:
            answer = await self.call(
                "start_workflow_execution", workflowId=workflow_id, requestId=str(uuid.uuid4()), taskQueue={"name": queue},
                workflowType={"name": "KitchenSink"}, input=payloads(given), workflowTaskTimeout=task_timeout, **more)
            return answer["runId"]
        except CallError as error:
            if error.code != ALREADY_EXISTS:
                raise
        # The answer was lost, and when it was asked for again another run had followed.
        first = (await self.history(workflow_id, ""))[0]
        return first["workflowExecutionStartedEventAttributes"]["firstExecutionRunId"]

    async def signal(self, workflow_id, name, value):
        await self.call("signal_workflow_execution", workflowExecution={"workflowId": workflow_id}, signalName=name,
                        requestId=str(uuid.uuid4()), input=payloads(value))

    async def cancel(self, workflow_id, reason):
        await self.call("request_cancel_workflow_execution", workflowExecution={"workflowId": workflow_id}, reason=reason,
                        requestId=str(uuid.uuid4()))

    async def update(self, workflow_id, update_id, name, value):
        """{"ok": RESULT} or {"failed": TYPE}."""
        while True:
            answer = await self.call(
                "update_workflow_execution", workflowExecution={"workflowId": workflow_id},
                waitPolicy={"lifecycleStage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},
                request={"meta": {"updateId": update_id, "identity": "kitchen"},
                         "input": {"name": name, "args": payloads(value)}})
            outcome = answer.get("outcome")
            if outcome and "failure" in outcome:
                return {"failed": failure_type(outcome["failure"])}
            if outcome:
                return {"ok": value_of(outcome.get("success"))}

    async def query(self, workflow_id, run_id, name, *arguments, patience=3):
        """A worker that dies takes the query along, and only the caller's own time ends it: it is asked again."""
        while True:
            asked = self.call("query_workflow", execution={"workflowId": workflow_id, "runId": run_id or ""},
                              query={"queryType": name, "queryArgs": payloads(*arguments)})
            try:
                answer = await asyncio.wait_for(asked, patience)
                return value_of(answer.get("queryResult"))
            except asyncio.TimeoutError:
                patience *= 2

    async def closed(self, workflow_id, run_id):
        """The event that closes a run, when it has come."""
        token = ""
        while True:
            answer = await self.call("get_workflow_execution_history", waitNewEvent=True, historyEventFilterType=CLOSE,
                                     execution={"workflowId": workflow_id, "runId": run_id}, nextPageToken=token)
            if answer.get("history", {}).get("events"):
                return answer["history"]["events"][-1]
            token = answer.get("nextPageToken", "")

    async def history(self, workflow_id, run_id):
        events, token = [], ""
        while True:
            answer = await self.call("get_workflow_execution_history", nextPageToken=token,
                                     execution={"workflowId": workflow_id, "runId": run_id})
            events += answer.get("history", {}).get("events", [])
            token = answer.get("nextPageToken", "")
            if not token:
                return events
