# SPDX-License-Identifier: Apache-2.0
"""ResetWorkflowExecution."""
from frame import command, packed, payloads, scenario, seconds
from scenarios.updates import accept, respond, says, update
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Acceptance, Request

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"r"'))
TIMER = command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(60))
NO_RUN = "11111111-2222-4333-8444-555555555555"
SIGNAL, UPDATE, NEXUS, CANCEL = 1, 2, 3, 4  # what is not applied again


async def reset(p, finish_id, label=None, run_id="", **fields):
    fields = {"workflow_execution": p.execution(run_id=run_id), "reason": "why", "request_id": "r" + p.ending + (label or ""),
              "workflow_task_finish_event_id": finish_id, **fields}
    return await p.call("ResetWorkflowExecution", label, **fields)


async def two_tasks(p):
    """Two workflow tasks done, a signal before each of the later ones, and a third task that waits."""
    started = await p.start()
    await p.complete(await p.poll(), TIMER)
    await p.signal("one")
    await p.complete(await p.poll())
    await p.signal("two")
    return started.run_id


@scenario
async def reset_an_open_run(p):
    """The first workflow task again, with both signals; the old run is terminated, the new one goes on."""
    old = await two_tasks(p)
    await reset(p, 4)
    await p.history(run_id=old, label="the old run's")
    await p.history(label="the new run's")
    await p.describe(run_id=old, label="the old run")
    await p.describe(label="the new run")
    await p.complete(await p.poll(), COMPLETE)
    await p.history(label="at the end")


@scenario
async def reset_points(p):
    """Each event id of a history."""
    old = await two_tasks(p)
    for finish_id in range(-1, 14):
        await reset(p, finish_id, f"at {finish_id}", run_id=old)
    await p.history(label="the last one's")


@scenario
async def reset_refused(p):
    """One thing is wrong with each request."""
    await two_tasks(p)
    for label, fields in {
            "no execution": {"workflow_execution": None}, "no workflow id": {"workflow_execution": {}},
            "a run id that is none": {"workflow_execution": p.execution(run_id="run")},
            "another run": {"workflow_execution": p.execution(run_id=NO_RUN)},
            "an unknown workflow": {"workflow_execution": {"workflow_id": "none-" + p.ending}},
            "no request id": {"request_id": ""}, "a request id of 1001 bytes": {"request_id": "r" * 1001},
            "no namespace": {"namespace": ""}, "an unknown namespace": {"namespace": "none-" + p.ending},
            "a signal afterwards": {"post_reset_operations": [{"signal_workflow": {"signal_name": "s"}}]},
            "nothing afterwards": {"post_reset_operations": [{}]},
            "an override without behaviour": {"post_reset_operations": [
                {"update_workflow_options": {"workflow_execution_options": {"versioning_override": {}}}}]},
            "an unknown field": {"post_reset_operations": [{"update_workflow_options": {
                "workflow_execution_options": {"versioning_override": {"auto_upgrade": True}},
                "update_mask": {"paths": ["none"]}}}]}}.items():
        await reset(p, 4, label, **fields)
    await p.history()


@scenario
async def reset_what_is_applied_again(p):
    """The older field and the newer one, and both."""
    old = await two_tasks(p)
    for label, fields in {
            "all": {"reset_reapply_type": 3}, "signals": {"reset_reapply_type": 1}, "nothing": {"reset_reapply_type": 2},
            "no signals": {"reset_reapply_exclude_types": [SIGNAL]},
            "no updates": {"reset_reapply_exclude_types": [UPDATE]},
            "none of all": {"reset_reapply_exclude_types": [SIGNAL, UPDATE, NEXUS, CANCEL]},
            "an unknown one": {"reset_reapply_exclude_types": [77]},
            "both fields": {"reset_reapply_type": 1, "reset_reapply_exclude_types": [SIGNAL]}}.items():
        await reset(p, 4, label, run_id=old, **fields)
        await p.history(label=f"{label}: history")


@scenario
async def reset_twice_with_one_request(p):
    """The same request finds the run that it made, as long as that is the current one."""
    old = await two_tasks(p)
    await reset(p, 4, "first", request_id="same-" + p.ending)
    await reset(p, 4, "again", request_id="same-" + p.ending)
    await reset(p, 4, "another", run_id=old)
    await reset(p, 4, "and again", run_id=old, request_id="same-" + p.ending)


@scenario
async def reset_a_closed_run(p):
    """A completed one, by itself and after a newer one has come; a terminated one."""
    old = await two_tasks(p)
    await p.complete(await p.poll(), COMPLETE)
    await reset(p, 4, "the completed one")
    await p.history(label="its new run")
    await p.describe(run_id=old, label="the completed run")
    await p.terminate()
    await reset(p, 4, "the terminated one")
    await p.history(label="the next")
    await reset(p, 9, "the completed one again", run_id=old)
    await p.history(label="the last")


@scenario
async def reset_while_a_task_is_started(p):
    """What waits behind the task of the old run is applied again, too; its worker is told nothing."""
    started = await p.start()
    task = await p.poll()
    await p.signal("buffered")
    await reset(p, 3)
    await p.history(run_id=started.run_id, label="the old run's")
    await p.history()
    await p.complete(task, COMPLETE, label="the old task")


@scenario
async def reset_after_a_failed_task(p):
    """The attempt that follows has no events yet."""
    await p.start()
    await p.fail(await p.poll())
    await p.signal()
    old = (await p.describe()).workflow_execution_info.execution.run_id
    for finish_id in (5, 6):
        await reset(p, finish_id, f"at {finish_id}", run_id=old)
        await p.history(label=f"{finish_id}: history")


@scenario
async def reset_keeps_timers_and_activities(p):
    """What was started before the reset point goes on in the new run."""
    started = await p.start(workflow_execution_timeout=seconds(1000), workflow_run_timeout=seconds(500))
    await p.complete(
        await p.poll(), command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(0.2)),
        command("SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"},
                task_queue={"name": p.queue + "-activity"}, start_to_close_timeout=seconds(30)))
    await p.until_event("TIMER_FIRED")
    await p.complete(await p.poll())
    task = await p.poll_activity(queue=p.queue + "-activity")
    await p.signal()
    await reset(p, 13, run_id=started.run_id)
    await p.history()
    await p.call("RespondActivityTaskCompleted", "the old attempt", task_token=task.task_token)
    task = await p.poll_activity(queue=p.queue + "-activity")
    await p.call("RespondActivityTaskCompleted", "the new attempt", task_token=task.task_token, result=payloads("1"))
    await p.complete(await p.poll(), COMPLETE)
    await p.history(label="at the end")


@scenario
async def reset_before_an_activity(p):
    """It is scheduled by the new run again, with another task."""
    await p.start()
    await p.complete(await p.poll(), command(
        "SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"}, task_queue={"name": p.queue + "-activity"},
        start_to_close_timeout=seconds(30)))
    task = await p.poll_activity(queue=p.queue + "-activity")
    await reset(p, 4)
    await p.call("RespondActivityTaskCompleted", "the old run's", task_token=task.task_token)
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


async def with_update(p, answers):
    """A run with an accepted update u, in its second workflow task."""
    await p.start()
    await p.complete(await p.poll(), TIMER)
    waiting = update(p, stage=2)
    task = await p.poll()
    commands, messages = says(*answers(task.messages[0]))
    await p.complete(task, *commands, messages=messages)
    await waiting


def accept_readmitted(p, update_id="u"):
    """As SDKs answer an Admitted event."""
    return Message(id=update_id + "/request/accept", protocol_instance_id=update_id, body=packed(Acceptance(
        accepted_request_message_id=update_id + "/request", accepted_request_sequencing_event_id=5,
        accepted_request=Request(meta={"update_id": update_id, "identity": "me"}, input={"name": "n", "args": payloads("1")}))))


@scenario
async def reset_with_updates(p):
    """Accepted ones are admitted again by an event; the worker accepts them without a message."""
    await with_update(p, lambda message: (accept(message), respond(message)))
    await reset(p, 4)
    await p.history(label="admitted again")
    task = await p.poll()
    commands, messages = says(accept_readmitted(p))
    await p.complete(task, *commands, messages=messages)
    await update(p, stage=2, label="asked for again")
    await p.history(label="accepted again")
    await reset(p, 8, "behind the admission")
    await p.history(label="admitted already")


@scenario
async def reset_without_updates(p):
    """Only signals are applied again."""
    await with_update(p, lambda message: (accept(message),))
    await p.signal()
    await reset(p, 4, reset_reapply_type=1)
    await p.history()
    await reset(p, 4, "in any way", reset_reapply_exclude_types=[UPDATE])


@scenario
async def reset_with_an_unanswered_update(p):
    """The new run's worker says nothing of it."""
    await with_update(p, lambda message: (accept(message),))
    await reset(p, 4)
    waiting = update(p, stage=2, label="asked for again")
    await p.complete(await p.poll())
    await waiting
    await p.history()


def child(p, **fields):
    return command("START_CHILD_WORKFLOW_EXECUTION", workflow_id=p.id + "-child", workflow_type={"name": "C"},
                   task_queue={"name": p.queue + "-child"}, **fields)


@scenario
async def reset_behind_the_start_of_a_child(p):
    """The child stays, and tells the new run how it ended."""
    await p.start()
    await p.complete(await p.poll(), child(p))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.complete(await p.poll())
    await reset(p, 9)
    await p.history(label="the new run's")
    await p.complete(await p.poll(queue=p.queue + "-child"), COMPLETE, label="the child is done")
    await p.until_event("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await p.complete(await p.poll(), COMPLETE)
    await p.history()
    await p.describe(p.id + "-child")


@scenario
async def reset_with_the_end_of_a_child(p):
    """The child ended after the reset point: its events are applied again."""
    await p.start()
    await p.complete(await p.poll(), child(p))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.complete(await p.poll())
    await p.complete(await p.poll(queue=p.queue + "-child"), COMPLETE, label="the child is done")
    await p.until_event("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await reset(p, 9)
    await p.history()


@scenario
async def reset_before_a_child(p):
    """The child is no child of the new run, which finds it in the way."""
    await p.start()
    await p.complete(await p.poll(), child(p))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await reset(p, 4)
    await p.complete(await p.poll(), child(p))
    await p.until_event("START_CHILD_WORKFLOW_EXECUTION_FAILED")
    await p.history()


@scenario
async def reset_a_child(p):
    """Its parent hears of the new run's end."""
    await p.start()
    await p.complete(await p.poll(), child(p))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.complete(await p.poll(queue=p.queue + "-child"), label="the child's task")
    await reset(p, 4, workflow_execution=p.execution(p.id + "-child"))
    await p.complete(await p.poll(queue=p.queue + "-child"), COMPLETE, label="the child is done")
    await p.until_event("CHILD_WORKFLOW_EXECUTION_COMPLETED")
    await p.history()
    await p.history(p.id + "-child", label="the child's")


@scenario
async def reset_a_run_that_continued(p):
    """Signals of the runs that came after it are applied again."""
    old = (await p.start()).run_id
    await p.complete(await p.poll(), TIMER)
    await p.signal("one")
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}))
    await p.signal("two")
    await reset(p, 4, run_id=old)
    await p.history()
    await p.describe(run_id=old)


@scenario
async def reset_keeps_what_was_set(p):
    """Memo, search attributes, a cancel request, options."""
    await p.start(memo={"fields": {"m": {"data": b"1"}}})
    await p.complete(
        await p.poll(), command("MODIFY_WORKFLOW_PROPERTIES", upserted_memo={"fields": {"n": {"data": b"2"}}}),
        command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={"indexed_fields": {
            "TemporalChangeVersion": payloads('["v"]').payloads[0]}}),
        command("RECORD_MARKER", marker_name="m"))
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution())
    await p.complete(await p.poll(), TIMER)
    await reset(p, 12, post_reset_operations=[{"update_workflow_options": {
        "workflow_execution_options": {"versioning_override": {"auto_upgrade": True}},
        "update_mask": {"paths": ["versioning_override"]}}}])
    await p.history()
    await p.describe()
