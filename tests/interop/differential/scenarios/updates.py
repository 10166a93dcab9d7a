# SPDX-License-Identifier: Apache-2.0
"""UpdateWorkflowExecution, PollWorkflowExecutionUpdate, ExecuteMultiOperation."""
from frame import command, packed, payload, payloads, scenario, seconds
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Outcome, Rejection, Request, Response

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
TIMER = command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(60))
NO_RUN = "11111111-2222-4333-8444-555555555555"
ACCEPTED, COMPLETED = 2, 3  # stages to wait for


def update(p, update_id="u", stage=COMPLETED, label=None, **fields):
    fields = {"workflow_execution": p.execution(), "wait_policy": {"lifecycle_stage": stage},
              "request": {"meta": {"update_id": update_id, "identity": "me"}, "input": {"name": "n", "args": payloads("1")}},
              **fields}
    return p.begin("UpdateWorkflowExecution", label, **fields)


def poll_update(p, update_id="u", stage=COMPLETED, label=None, **fields):
    fields = {"update_ref": {"workflow_execution": p.execution(), "update_id": update_id},
              "wait_policy": {"lifecycle_stage": stage}, **fields}
    return p.begin("PollWorkflowExecutionUpdate", label, **fields)


def request_of(message):
    request = Request()
    message.body.Unpack(request)
    return request


def accept(message, **more):
    return Message(id=message.id + "/accept", protocol_instance_id=message.protocol_instance_id, body=packed(Acceptance(
        accepted_request_message_id=message.id, accepted_request_sequencing_event_id=message.event_id,
        accepted_request=request_of(message), **more)))


def reject(message):
    return Message(id=message.id + "/reject", protocol_instance_id=message.protocol_instance_id, body=packed(Rejection(
        rejected_request_message_id=message.id, rejected_request_sequencing_event_id=message.event_id,
        rejected_request=request_of(message),
        failure={"message": "no", "application_failure_info": {"type": "Refused", "non_retryable": True}})))


def respond(message, **outcome):
    outcome = outcome or {"success": payloads("2")}
    return Message(id=message.id + "/respond", protocol_instance_id=message.protocol_instance_id, body=packed(Response(
        meta=request_of(message).meta, outcome=Outcome(**outcome))))


def says(*messages):
    """A command for each message, and the messages."""
    return ([command("PROTOCOL_MESSAGE", message_id=m.id) for m in messages], list(messages))


async def idle(p):
    """A run whose first task is done."""
    await p.start()
    await p.complete(await p.poll(), TIMER)


@scenario(differs={"a stage that is none": "refused; there it is taken for a stage that was reached"})
async def update_refused(p):
    """One thing is wrong with each request."""
    await p.start()
    request = {"meta": {"update_id": "u"}, "input": {"name": "n"}}
    for label, fields in {
            "no execution": {"workflow_execution": None}, "no workflow id": {"workflow_execution": {}},
            "a run id that is none": {"workflow_execution": p.execution(run_id="run")},
            "another run": {"workflow_execution": p.execution(run_id=NO_RUN)},
            "an unknown workflow": {"workflow_execution": {"workflow_id": "none-" + p.ending}},
            "no request": {"request": None}, "no input": {"request": {"meta": request["meta"]}},
            "no name": {"request": {"meta": request["meta"], "input": {}}},
            "an update id of 1001 bytes": {"request": {"meta": {"update_id": "u" * 1001}, "input": {"name": "n"}}},
            "an update name of 1001 bytes": {"request": {"meta": request["meta"], "input": {"name": "n" * 1001}}},
            "a stage that is none": {"wait_policy": {"lifecycle_stage": 9}},
            "to be admitted": {"wait_policy": {"lifecycle_stage": 1}},
            "another first run": {"first_execution_run_id": NO_RUN},
            "arguments over the limit": {
                "request": {"meta": request["meta"], "input": {"name": "n", "args": payloads('"' + "x" * 2_200_000 + '"')}}},
            "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
        await p.call("UpdateWorkflowExecution", label, timeout=2 if "1001" in label or "none" in label else 10,
                     **{"workflow_execution": p.execution(), "request": request,
                        "wait_policy": {"lifecycle_stage": COMPLETED}, **fields})
    await p.terminate()


@scenario
async def update_poll_refused(p):
    """One thing is wrong with each request."""
    await idle(p)
    ref = {"workflow_execution": p.execution(), "update_id": "u"}
    for label, fields in {
            "no reference": {"update_ref": None}, "no execution": {"update_ref": {"update_id": "u"}},
            "no workflow id": {"update_ref": {"update_id": "u", "workflow_execution": {}}},
            "no update id": {"update_ref": {"workflow_execution": p.execution()}},
            "an update that is none": {}, "without waiting": {"wait_policy": None},
            "to be admitted": {"wait_policy": {"lifecycle_stage": 1}},
            "an unknown workflow": {"update_ref": {"update_id": "u", "workflow_execution": {"workflow_id": "none-" + p.ending}}},
            "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
        await p.call("PollWorkflowExecutionUpdate", label,
                     **{"update_ref": ref, "wait_policy": {"lifecycle_stage": COMPLETED}, **fields})
    await p.terminate()


@scenario
async def update_in_one_task(p):
    """Accepted and answered at once; then asked for again."""
    await idle(p)
    asked = update(p)
    task = await p.poll()
    commands, messages = says(accept(task.messages[0]), respond(task.messages[0]))
    await p.complete(task, *commands, messages=messages)
    await asked
    await update(p, label="again")
    await poll_update(p)
    await p.history()
    await p.terminate()
    await poll_update(p, label="poll when closed")
    await update(p, label="again when closed")
    await update(p, "other", label="another when closed")


@scenario
async def update_in_two_tasks(p):
    """Accepted in one, answered in another, by those who wait for either stage."""
    await idle(p)
    completed, accepted = update(p, label="to be completed"), None
    task = await p.poll()
    message = task.messages[0]
    accepted = update(p, stage=ACCEPTED, label="to be accepted")
    commands, messages = says(accept(message))
    await p.complete(task, *commands, messages=messages)
    await accepted
    await poll_update(p, stage=ACCEPTED, label="poll for acceptance")
    polled = poll_update(p, label="poll for completion")
    await p.signal()
    task = await p.poll()
    commands, messages = says(respond(message, failure={"message": "bad", "application_failure_info": {"type": "Bad"}}))
    await p.complete(task, *commands, messages=messages)
    await completed
    await polled
    await p.history()
    await p.terminate()


@scenario
async def update_rejected(p):
    """Nothing of it is in the history."""
    await idle(p)
    asked = update(p)
    task = await p.poll()
    await p.complete(task, messages=[reject(task.messages[0])])
    await asked
    await p.history()
    await p.call("PollWorkflowExecutionUpdate", "poll what was rejected", timeout=4,
                 update_ref={"workflow_execution": p.execution(), "update_id": "u"},
                 wait_policy={"lifecycle_stage": COMPLETED})
    await p.terminate()


@scenario
async def update_two_in_one_task(p):
    """In the order in which they came."""
    await p.start()
    first = update(p, "a", label="a")
    await p.until(lambda: admitted(p, "a"), "a is admitted")
    second = update(p, "b", label="b")
    await p.until(lambda: admitted(p, "b"), "b is admitted")
    task = await p.poll()
    one, two = task.messages
    commands, messages = says(accept(one), accept(two), respond(two), respond(one))
    await p.complete(task, *commands, messages=messages)
    await first
    await second
    await p.history()
    await p.terminate()


async def admitted(p, update_id):
    from frame import Refused
    try:
        await p.ask("PollWorkflowExecutionUpdate", timeout=5,
                    update_ref={"workflow_execution": p.execution(), "update_id": update_id})
        return True
    except Refused:
        return False


@scenario(differs={"history terminated": "the started event names the worker that has the task"})
async def update_and_the_run_ends(p):
    """In the task that accepts it, and by termination."""
    await idle(p)
    asked = update(p)
    task = await p.poll()
    commands, messages = says(accept(task.messages[0]))
    await p.complete(task, *commands, COMPLETE, messages=messages)
    await asked
    await p.history()
    await p.start(label="second")
    await p.complete(await p.poll(), TIMER)
    asked = update(p, label="not accepted")
    await p.poll()
    await p.terminate()
    await asked
    await p.history(label="history terminated")


@scenario
async def update_and_the_task_fails(p):
    """The caller learns that it was not done."""
    await idle(p)
    asked = update(p)
    await p.fail(await p.poll())
    await asked
    await p.history()
    await p.terminate()


@scenario
async def update_left_unanswered(p):
    """A worker that does not know updates: the server rejects it."""
    await idle(p)
    asked = update(p)
    await p.complete(await p.poll())
    await asked
    await p.history()
    await p.terminate()


@scenario
async def update_messages_that_are_wrong(p):
    """What a worker may not say."""
    for label, make in {
            "another update": lambda m: [Message(id="x", protocol_instance_id="other", body=accept(m).body)],
            "twice accepted": lambda m: [accept(m), accept(m)],
            "answered, not accepted": lambda m: [respond(m)],
            "no outcome": lambda m: [accept(m), Message(id="r", protocol_instance_id=m.protocol_instance_id,
                                                        body=packed(Response(meta=request_of(m).meta)))],
            "a body that is none of these": lambda m: [Message(id="x", protocol_instance_id=m.protocol_instance_id,
                                                               body=packed(request_of(m)))],
            "rejected without a failure": lambda m: [Message(
                id="x", protocol_instance_id=m.protocol_instance_id, body=packed(Rejection(
                    rejected_request_message_id=m.id, rejected_request=request_of(m))))]}.items():
        await p.start(label=f"start {label}")
        await p.complete(await p.poll(label=f"poll {label}"), TIMER, label=f"done {label}")
        asked = update(p, label=f"update {label}")
        task = await p.poll(label=f"task {label}")
        commands, messages = says(*make(task.messages[0]))
        await p.complete(task, *commands, messages=messages, label=f"complete {label}")
        await p.history(label=f"history {label}")
        await p.terminate(label=f"terminate {label}")
        await asked


@scenario
async def update_command_without_a_message(p):
    """A command that names none, and one that names one that is not there."""
    for label, command_ in {"unknown": command("PROTOCOL_MESSAGE", message_id="nothing"),
                            "empty": command("PROTOCOL_MESSAGE")}.items():
        await p.start(label=f"start {label}")
        await p.complete(await p.poll(label=f"poll {label}"), command_, label=f"complete {label}")
        await p.history(label=f"history {label}")
        await p.terminate(label=f"terminate {label}")


def operations(p, start=None, update_id="u", **update_fields):
    return [{"start_workflow": {"namespace": p.namespace, "workflow_id": p.id, "workflow_type": {"name": "T"},
                                "task_queue": {"name": p.queue}, "identity": "me", "request_id": "r-" + p.ending,
                                "workflow_id_conflict_policy": 2, **(start or {})}},
            {"update_workflow": {"namespace": p.namespace, "workflow_execution": {"workflow_id": p.id},
                                 "wait_policy": {"lifecycle_stage": COMPLETED},
                                 "request": {"meta": {"update_id": update_id, "identity": "me"}, "input": {"name": "n"}},
                                 **update_fields}}]


@scenario(differs={"another": "there it links to a run without a namespace",
                   "again when closed": "the run that the update is for was running"})
async def update_with_start(p):
    """A new run and its update; the same again; another update of a run that is there."""
    asked = p.begin("ExecuteMultiOperation", operations=operations(p))
    task = await p.poll()
    commands, messages = says(accept(task.messages[0]), respond(task.messages[0]))
    await p.complete(task, *commands, TIMER, messages=messages)
    await asked
    await p.call("ExecuteMultiOperation", "again", operations=operations(p))
    asked = p.begin("ExecuteMultiOperation", "another", operations=operations(p, {"request_id": "other"}, "v"))
    task = await p.poll()
    await p.complete(task, messages=[reject(task.messages[0])])
    await asked
    await p.history()
    await p.call("ExecuteMultiOperation", "conflict", operations=operations(
        p, {"request_id": "third", "workflow_id_conflict_policy": 1}, "w"))
    await p.terminate()
    await p.call("ExecuteMultiOperation", "again when closed", operations=operations(p))
    await p.call("ExecuteMultiOperation", "rejecting when closed", operations=operations(
        p, {"request_id": "fourth", "workflow_id_reuse_policy": 3}, "x"))


@scenario
async def update_with_start_refused(p):
    """One thing is wrong with each request."""
    start, update_ = operations(p)
    for label, ops in {
            "none": [], "one": [start], "two starts": [start, start], "in the wrong order": [update_, start],
            "an empty operation": [{}, update_],
            "no workflow id": operations(p, {"workflow_id": ""}),
            "no type": operations(p, {"workflow_type": None}),
            "another workflow id": operations(p, workflow_execution={"workflow_id": "other"}),
            "with a run id": operations(p, workflow_execution={"workflow_id": p.id, "run_id": NO_RUN}),
            "with a first run": operations(p, first_execution_run_id=NO_RUN),
            "cron": operations(p, {"cron_schedule": "* * * * *"}),
            "eager": operations(p, {"request_eager_execution": True}),
            "a delay": operations(p, {"workflow_start_delay": seconds(1)}),
            "to be admitted": operations(p, wait_policy={"lifecycle_stage": 1}),
            "no update name": operations(p, request={"meta": {"update_id": "u"}, "input": {}}),
            "another namespace": operations(p, {"namespace": "other"}),
            "another namespace of the update": operations(p, namespace="other")}.items():
        await p.call("ExecuteMultiOperation", label, timeout=3, operations=ops)
    await p.call("ExecuteMultiOperation", "an unknown namespace", namespace="no-such-namespace", operations=operations(p))
    await p.terminate()
