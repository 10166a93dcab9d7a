# SPDX-License-Identifier: Apache-2.0
"""Scenarios of histories.py about updates: speculative workflow tasks, and what callers and workers are told."""
import asyncio

import temporalio.api.workflowservice.v1 as api
from google.protobuf.any_pb2 import Any
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import (Acceptance, Input, Meta, Outcome, Rejection, Request, Response, UpdateRef,
                                      WaitPolicy)
from temporalio.service import RPCError

from histories import api_timeout, command, complete, payloads, scenario, seconds, stable, timer

ADMITTED, ACCEPTED, COMPLETED = 1, 2, 3


async def idle(run, sticky=False, **fields):
    """A run that waits for a timer."""
    await run.start(**fields)
    task = await run.task()
    if sticky:
        await run.polled_sticky()
    await run.complete(task, timer("t", 60), sticky=sticky)


def told(run, label, answer):
    run.out.append(f"{label}: stage {answer.stage} {stable(MessageToDict(answer.outcome))}")


def call(run, label, message, send):
    """Ask in the background; what it comes to is told when it is awaited."""
    async def ask():
        try:
            return await send(message, timeout=api_timeout(30))
        except RPCError as error:
            return error
    asking = asyncio.ensure_future(ask())

    async def end():
        answer = await asking
        if isinstance(answer, RPCError):
            run.out.append(f"{label}: {answer.status.name} {stable(answer.message)}")
        else:
            told(run, label, answer)
    return end


def update(run, name, stage=COMPLETED, **fields):
    fields.setdefault("workflow_execution", run.execution)
    return call(run, f"update {name}", api.UpdateWorkflowExecutionRequest(
        namespace=run.namespace, wait_policy=WaitPolicy(lifecycle_stage=stage),
        request=Request(meta=Meta(update_id=name, identity="t"), input=Input(name="u", args=payloads("1"))), **fields),
        run.service.update_workflow_execution)


def poll(run, name, stage=COMPLETED):
    return call(run, f"poll {name}", api.PollWorkflowExecutionUpdateRequest(
        namespace=run.namespace, wait_policy=WaitPolicy(lifecycle_stage=stage),
        update_ref=UpdateRef(workflow_execution=WorkflowExecution(workflow_id=run.id), update_id=name)),
        run.service.poll_workflow_execution_update)


async def admitted(run, name):
    """Until the server knows of an update."""
    request = api.PollWorkflowExecutionUpdateRequest(
        namespace=run.namespace, wait_policy=WaitPolicy(lifecycle_stage=ADMITTED),
        update_ref=UpdateRef(workflow_execution=run.execution, update_id=name))
    async with asyncio.timeout(15):
        while True:
            try:
                return await run.service.poll_workflow_execution_update(request)
            except RPCError as error:
                assert error.status.name == "NOT_FOUND", error


def message(asked, kind, body):
    packed = Any()
    packed.Pack(body)
    return Message(id=f"{asked.id}/{kind}", protocol_instance_id=asked.protocol_instance_id, body=packed)


def request_of(asked):
    request = Request()
    asked.body.Unpack(request)
    return request


def accept(asked):
    return message(asked, "accept", Acceptance(
        accepted_request_message_id=asked.id, accepted_request_sequencing_event_id=asked.event_id,
        accepted_request=request_of(asked)))


def reject(asked):
    return message(asked, "reject", Rejection(
        rejected_request_message_id=asked.id, rejected_request_sequencing_event_id=asked.event_id,
        rejected_request=request_of(asked), failure=Failure(message="no")))


def respond(asked, **outcome):
    return message(asked, "complete", Response(meta=request_of(asked).meta,
                                               outcome=Outcome(**(outcome or {"success": payloads("9")}))))


def protocol(said):
    return command("PROTOCOL_MESSAGE", "protocol_message", message_id=said.id)


async def carrier(run, sticky=False):
    """The workflow task with the updates that wait, and its first message."""
    task = await run.task(sticky)
    run.out.append(f"task: prev {task.previous_started_event_id} started {task.started_event_id} attempt {task.attempt} "
                   f"events {[e.event_id for e in task.history.events]} "
                   f"messages {[(m.id, m.event_id) for m in task.messages]}")
    return task, task.messages[0] if task.messages else None


GOES_BACK = api.RespondWorkflowTaskCompletedRequest.Capabilities(discard_speculative_workflow_task_with_events=True)


@scenario
async def update_accepted_and_completed(run):
    await idle(run)
    first = update(run, "u1")
    task, asked = await carrier(run)
    await run.history()
    accepted, completed = accept(asked), respond(asked)
    await run.complete(task, timer("a", 50), protocol(accepted), timer("b", 50), protocol(completed),
                       messages=[completed, accepted])
    await first()
    await update(run, "u1")()
    await poll(run, "u1")()
    await poll(run, "unknown")()
    await run.history()


@scenario
async def update_rejected_without_a_trace(run):
    await idle(run)
    first = update(run, "u1")
    task, asked = await carrier(run)
    answer = await run.complete(task, messages=[reject(asked)], capabilities=GOES_BACK)
    run.out.append(f"reset to {answer.reset_history_event_id}")
    await first()
    again = update(run, "u1")
    task, asked = await carrier(run)
    await run.complete(task, messages=[reject(asked)])
    await again()
    await run.history()


@scenario
async def update_and_signal(run):
    await idle(run)
    first = update(run, "u1")
    await admitted(run, "u1")
    await run.signal("a")
    task, asked = await carrier(run)
    await run.complete(task, messages=[reject(asked)])
    await first()
    second = update(run, "u2")
    task, asked = await carrier(run)
    await run.signal("b")
    await run.complete(task, messages=[accept(asked), respond(asked, failure=Failure(message="bad"))])
    await second()
    await run.history()


@scenario
async def update_of_a_failing_task(run):
    await idle(run, workflow_task_timeout=seconds(1))
    first = update(run, "u1")
    await carrier(run)
    task, asked = await carrier(run)
    await run.complete(task, messages=[accept(asked), respond(asked)])
    await first()
    await run.history()


@scenario
async def update_with_bad_answers(run):
    await idle(run)
    for label, answers in (("response first", [respond]), ("twice", [accept, accept]),
                           ("both", [accept, reject])):
        asking = update(run, label)
        task, asked = await carrier(run)
        await run.refused(label, run.complete(task, messages=[a(asked) for a in answers]))
        await asking()
        task, _ = await carrier(run)
        await run.complete(task)
    await run.history()


@scenario
async def update_of_a_run_that_closes(run):
    await idle(run)
    ignored = update(run, "u1")
    task, _ = await carrier(run)
    await run.complete(task)
    await ignored()
    accepted = update(run, "u2")
    task, asked = await carrier(run)
    said = accept(asked)
    await run.complete(task, protocol(said), complete(), messages=[said])
    await accepted()
    await update(run, "u2")()
    await poll(run, "u2")()
    await update(run, "u3")()
    await update(run, "u4", ADMITTED)()
    await run.history()


@scenario
async def update_of_a_run_that_is_terminated(run):
    await idle(run)
    first = update(run, "u1")
    await carrier(run)
    await run.terminate()
    await first()
    await run.history()
