# SPDX-License-Identifier: Apache-2.0
"""What a scenario is written with: @scenario, and Play, which talks to one server and keeps what it answered."""
import asyncio
import importlib
import inspect
import pathlib
import time
import uuid

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import CommandType
from temporalio.api.operatorservice.v1 import request_response_pb2 as operator_messages
from temporalio.api.workflowservice.v1 import request_response_pb2 as workflow_messages

import transcript

SERVICES = {"temporal.api.workflowservice.v1.WorkflowService": workflow_messages,
            "temporal.api.operatorservice.v1.OperatorService": operator_messages}
SCENARIOS = {}


class Scenario:
    def __init__(self, play, name, area, options):
        self.play, self.name, self.area = play, name, area
        self.differs = options.pop("differs", {})
        self.alone = options.pop("alone", False)
        self.profile = options.pop("profile", "default")
        self.timeout = options.pop("timeout", 60)
        assert not options, f"{name}: there is no option {', '.join(options)}"


def scenario(function=None, **options):
    """Register an async function of one Play. README.md says what the options are."""
    def register(play):
        name = play.__name__
        assert name not in SCENARIOS, f"two scenarios are called {name}"
        SCENARIOS[name] = Scenario(play, name, inspect.getmodule(play).__name__.rpartition(".")[2], dict(options))
        return play
    return register(function) if function else register


def load_scenarios():
    """Every file of scenarios/; gives back the scenarios by name."""
    for file in sorted(pathlib.Path(__file__).parent.glob("scenarios/*.py")):
        importlib.import_module(f"scenarios.{file.stem}")
    return SCENARIOS


class Refused(Exception):
    """An answer other than OK."""

    def __init__(self, code, message, details):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.details = code, message, details


def refused(error):
    """A grpc.aio.AioRpcError as a Refused, with the details of grpc-status-details-bin."""
    details = []
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status()
            status.ParseFromString(value)
            details = list(status.details)
    return Refused(error.code().name, error.details() or "", details)


def status_class():
    """google.rpc.Status, made here so that no package beyond temporalio's is needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    pool = descriptor_pool.Default()
    try:
        found = pool.FindMessageTypeByName("google.rpc.Status")
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto(name="differential/status.proto", package="google.rpc", syntax="proto3",
                                                  dependency=["google/protobuf/any.proto"])
        message = file.message_type.add(name="Status")
        message.field.add(name="code", number=1, type=5, label=1)
        message.field.add(name="message", number=2, type=9, label=1)
        message.field.add(name="details", number=3, type=11, label=3, type_name=".google.protobuf.Any")
        pool.Add(file)
        found = pool.FindMessageTypeByName("google.rpc.Status")
    return message_factory.GetMessageClass(found)


Status = status_class()


def seconds(value):
    return Duration(seconds=int(value), nanos=round((value - int(value)) * 1e9))


def payload(text):
    return Payload(metadata={"encoding": b"json/plain"}, data=text.encode())


def payloads(*texts):
    return Payloads(payloads=[payload(text) for text in texts])


def packed(message):
    result = Any()
    result.Pack(message)
    return result


def command(kind, **attributes):
    """command("START_TIMER", timer_id="1", ...): a command of this type, with its attributes."""
    result = Command(command_type=CommandType.Value("COMMAND_TYPE_" + kind))
    field = kind.lower() + "_command_attributes"
    getattr(result, field).SetInParent()
    result.MergeFrom(Command(**{field: attributes}))
    return result


def method_of(name):
    """The path of a method, and its request's and its answer's class."""
    for service, messages in SERVICES.items():
        if hasattr(messages, name + "Request"):
            return f"/{service}/{name}", getattr(messages, name + "Request"), getattr(messages, name + "Response")
    raise KeyError(f"there is no method {name}")


class Play:
    """One scenario on one server. Every call through it is a step of the transcript, unless it is asked quietly."""

    def __init__(self, scenario, channel, target):
        self.scenario, self.channel, self.target = scenario, channel, target
        self.ending = uuid.uuid4().hex[:12]
        self.id, self.queue, self.sticky = (f"{kind}-{self.ending}" for kind in ("wf", "queue", "sticky"))
        self.namespace = "default"
        self.steps = []  # (label, answer: a message, a Refused or a list of lines)
        self.tasks = []
        self.fields = set()  # of transcript.FIELDS, that were set

    # --- calls

    async def send(self, name, request, timeout):
        """request: a message, or bytes as they are."""
        path, _, response_class = method_of(name)
        call = self.channel.unary_unary(path)
        try:
            raw = await call(request if isinstance(request, bytes) else request.SerializeToString(), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise refused(error) from None
        return response_class.FromString(raw)

    def request(self, name, fields):
        """A request with namespace and identity filled in where it has them and they are not given."""
        _, request_class, _ = method_of(name)
        known = request_class.DESCRIPTOR.fields_by_name
        for field, value in (("namespace", self.namespace), ("identity", "me")):
            if field in known and field not in fields:
                fields[field] = value
        return request_class(**fields)

    async def ask(self, name, timeout=30, **fields):
        """A call that is not part of the transcript. Raises Refused."""
        return await self.send(name, self.request(name, fields), timeout)

    async def call(self, name, label=None, timeout=30, raw=None, **fields):
        """A step: the answer, or None when it was refused. raw: bytes to send in place of the fields."""
        step = self.step(label or name)
        return await self.answer(step, self.send(name, self.request(name, fields) if raw is None else raw, timeout))

    def begin(self, name, label=None, timeout=30, **fields):
        """A step that goes on meanwhile; await what it gives back for the answer."""
        step = self.step(label or name)
        task = asyncio.create_task(self.answer(step, self.send(name, self.request(name, fields), timeout)))
        self.tasks.append(task)
        return task

    def step(self, label):
        number = sum(1 for other, _ in self.steps if other.split(" #")[0] == label)
        self.steps.append((f"{label} #{number + 1}" if number else label, ["(no answer)"]))
        return len(self.steps) - 1

    async def answer(self, step, sending):
        label = self.steps[step][0]
        try:
            result = await sending
        except Refused as error:
            self.steps[step] = (label, error)
            return None
        self.steps[step] = (label, result)
        return result

    def note(self, label, *lines):
        """A step of the scenario's own making: lines of text, or messages."""
        step = self.step(label)
        self.steps[step] = (self.steps[step][0], [line if hasattr(line, "ListFields") else str(line) for line in lines])

    async def until(self, condition, what, timeout=20):
        """Repeat an async condition until it gives something back; the answer of the last time."""
        deadline = time.monotonic() + timeout
        while True:
            result = await condition()
            if result:
                return result
            assert time.monotonic() < deadline, f"{what} did not happen"
            await asyncio.sleep(0.05)

    # --- what most scenarios do

    def execution(self, workflow_id=None, run_id=""):
        return {"workflow_id": workflow_id or self.id, "run_id": run_id}

    async def start(self, workflow_id=None, label=None, **fields):
        fields = {"workflow_type": {"name": "T"}, "task_queue": {"name": self.queue, "kind": 1},
                  "workflow_id": workflow_id or self.id, **fields}
        return await self.call("StartWorkflowExecution", label, **fields)

    async def poll(self, label=None, queue=None, sticky=False, timeout=30):
        """The next workflow task."""
        return await self.call("PollWorkflowTaskQueue", label, timeout, task_queue=self.polled(queue, sticky))

    def begin_poll(self, label=None, queue=None, sticky=False, timeout=30):
        return self.begin("PollWorkflowTaskQueue", label, timeout, task_queue=self.polled(queue, sticky))

    def polled(self, queue, sticky):
        return ({"name": self.sticky, "kind": 2, "normal_name": queue or self.queue} if sticky
                else {"name": queue or self.queue, "kind": 1})

    async def poll_activity(self, label=None, queue=None, timeout=30):
        return await self.call("PollActivityTaskQueue", label, timeout, task_queue=self.polled(queue, False))

    async def complete(self, task, *commands, label=None, sticky=False, **fields):
        """RespondWorkflowTaskCompleted."""
        if sticky:
            fields["sticky_attributes"] = {"worker_task_queue": self.polled(None, True),
                                           "schedule_to_start_timeout": seconds(10)}
        return await self.call("RespondWorkflowTaskCompleted", label, task_token=task.task_token,
                               commands=list(commands), **fields)

    async def until_polled(self):
        """Wait until somebody polls the sticky queue."""
        async def polled():
            answer = await self.ask("DescribeTaskQueue", task_queue=self.polled(None, True), task_queue_type=1)
            return answer.pollers
        await self.until(polled, "a poll of the sticky queue")

    async def fail(self, task, label=None, cause=14, **fields):
        """RespondWorkflowTaskFailed."""
        fields.setdefault("failure", {"message": "oops"})
        return await self.call("RespondWorkflowTaskFailed", label, task_token=task.task_token, cause=cause, **fields)

    async def signal(self, name="s", workflow_id=None, label=None, **fields):
        fields.setdefault("workflow_execution", self.execution(workflow_id))
        return await self.call("SignalWorkflowExecution", label, signal_name=name, **fields)

    async def terminate(self, workflow_id=None, label=None, run_id="", **fields):
        fields.setdefault("reason", "why")
        return await self.call("TerminateWorkflowExecution", label,
                               workflow_execution=self.execution(workflow_id, run_id), **fields)

    async def describe(self, workflow_id=None, run_id="", label=None):
        return await self.call("DescribeWorkflowExecution", label, execution=self.execution(workflow_id, run_id))

    async def history(self, workflow_id=None, run_id="", label=None, **fields):
        """A page of the history (all of it, when it is short)."""
        return await self.call("GetWorkflowExecutionHistory", label or "history",
                               execution=self.execution(workflow_id, run_id), **fields)

    async def events(self, workflow_id=None, run_id=""):
        """The events, quietly."""
        return (await self.ask("GetWorkflowExecutionHistory", execution=self.execution(workflow_id, run_id))).history.events

    async def until_event(self, kind, workflow_id=None, run_id="", count=1):
        """Wait until the history has an event of this EventType (a number or a name without EVENT_TYPE_)."""
        from temporalio.api.enums.v1 import EventType
        number = EventType.Value("EVENT_TYPE_" + kind) if isinstance(kind, str) else kind

        async def there():
            return sum(e.event_type == number for e in await self.events(workflow_id, run_id)) >= count
        await self.until(there, f"event {kind}")

    # --- the end

    async def played(self):
        """Play it; the transcript, by step."""
        try:
            await asyncio.wait_for(self.scenario.play(self), self.scenario.timeout)
        except Exception as error:  # a scenario that fell over is a difference, too
            lines = str(error).splitlines() or [""]
            self.note("fell over", f"{type(error).__name__}: {lines[0]}")
        for task in self.tasks:
            task.cancel()
        names = transcript.Names(self.ending)
        lines = {label: self.lines(answer, names) for label, answer in self.steps}
        self.fields = names.fields
        return lines

    @staticmethod
    def lines(answer, names):
        if isinstance(answer, Refused):
            return transcript.error_lines(answer, names)
        if isinstance(answer, list):
            lines = []
            for item in answer:
                lines += transcript.message_lines(item, names) if hasattr(item, "ListFields") else [names.plain(item)]
            return lines
        return transcript.message_lines(answer, names) or ["(empty)"]
