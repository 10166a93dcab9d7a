# SPDX-License-Identifier: Apache-2.0
"""Commands with one bad attribute each: the answer, and the failed task in the history."""
from frame import command, payload, payloads, scenario, seconds
from temporalio.api.command.v1 import Command

BIG = payloads('"' + "x" * 2_200_000 + '"')
LONG = "l" * 1001
NO_RUN = "11111111-2222-4333-8444-555555555555"
RETRIES = {"negative interval": {"initial_interval": {"seconds": -1}}, "coefficient": {"backoff_coefficient": 0.5},
           "negative attempts": {"maximum_attempts": -1},
           "maximum interval": {"initial_interval": seconds(5), "maximum_interval": seconds(1)},
           "timeout type": {"non_retryable_error_types": ["TemporalTimeout:Never"]}}


def activity(**fields):
    return command("SCHEDULE_ACTIVITY_TASK", **{
        "activity_id": "a", "activity_type": {"name": "A"}, "task_queue": {"name": "q"},
        "start_to_close_timeout": seconds(30), **fields})


def child(**fields):
    return command("START_CHILD_WORKFLOW_EXECUTION", **{
        "workflow_id": "child-of-bad-commands", "workflow_type": {"name": "C"}, "task_queue": {"name": "unpolled"}, **fields})


def again(**fields):
    return command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", **{
        "workflow_type": {"name": "T"}, "task_queue": {"name": "unpolled"}, **fields})


def signal(**fields):
    return command("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", **{
        "execution": {"workflow_id": "other"}, "signal_name": "s", **fields})


def cancel(**fields):
    return command("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", **{"workflow_id": "other", **fields})


def timer(**fields):
    return command("START_TIMER", **{"timer_id": "t", "start_to_fire_timeout": seconds(60), **fields})


COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
FAIL = command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x"})

BAD = {
    "activity": {
        "no attributes": [Command(command_type="COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK")],
        "no id": [activity(activity_id="")], "a long id": [activity(activity_id=LONG)],
        "no type": [activity(activity_type=None)], "a long type": [activity(activity_type={"name": LONG})],
        "a long queue": [activity(task_queue={"name": LONG})], "a queue of the server": [activity(task_queue={"name": "/_sys/a"})],
        "no timeout": [activity(start_to_close_timeout=None)],
        "a negative start-to-close": [activity(start_to_close_timeout={"seconds": -1})],
        "a negative schedule-to-close": [activity(schedule_to_close_timeout={"seconds": -1})],
        "a negative schedule-to-start": [activity(schedule_to_start_timeout={"seconds": -1})],
        "a negative heartbeat": [activity(heartbeat_timeout={"seconds": -1})],
        "the same id twice": [activity(), activity()], "an input over the limit": [activity(input=BIG)],
        "a bad priority": [activity(priority={"priority_key": -1})],
        **{f"retry: {label}": [activity(retry_policy=policy)] for label, policy in RETRIES.items()}},
    "cancel_activity": {
        "no attributes": [Command(command_type="COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK")],
        "no id": [command("REQUEST_CANCEL_ACTIVITY_TASK")],
        "an unknown id": [command("REQUEST_CANCEL_ACTIVITY_TASK", scheduled_event_id=99)]},
    "timer": {
        "no attributes": [Command(command_type="COMMAND_TYPE_START_TIMER")],
        "no id": [timer(timer_id="")], "a long id": [timer(timer_id=LONG)], 
        "negative": [timer(start_to_fire_timeout={"seconds": -1})],
        "the same id twice": [timer(), timer()],
        "canceled without an id": [command("CANCEL_TIMER")], "canceled, unknown": [command("CANCEL_TIMER", timer_id="none")],
        "canceled, a long id": [command("CANCEL_TIMER", timer_id=LONG)],
        "canceled without attributes": [Command(command_type="COMMAND_TYPE_CANCEL_TIMER")]},
    "close": {
        "completed without attributes": [Command(command_type="COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION")],
        "failed without attributes": [Command(command_type="COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION")],
        "failed without a failure": [command("FAIL_WORKFLOW_EXECUTION")],
        "canceled without attributes": [Command(command_type="COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION")],
        "two of them": [COMPLETE, FAIL], "one before another command": [COMPLETE, timer()],
        "a result over the limit": [command("COMPLETE_WORKFLOW_EXECUTION", result=BIG)],
        "a failure over the limit": [command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x" * 2_200_000})],
        "an unknown type": [Command(command_type=99)], "no type": [Command()],
        "a type without its attributes": [Command(command_type="COMMAND_TYPE_START_TIMER",
                                                  complete_workflow_execution_command_attributes={})]},
    "again": {
        "no attributes": [Command(command_type="COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION")],
        "a long type": [again(workflow_type={"name": LONG})], "a long queue": [again(task_queue={"name": LONG})],
        "a negative run timeout": [again(workflow_run_timeout={"seconds": -1})],
        "a negative task timeout": [again(workflow_task_timeout={"seconds": -1})],
        "a negative backoff": [again(backoff_start_interval={"seconds": -1})],
        "an input over the limit": [again(input=BIG)], "a memo over the limit": [again(memo={"fields": {"m": BIG.payloads[0]}})],
        "an unknown search attribute": [again(search_attributes={"indexed_fields": {"NoSuch": payload("1")}})],
        "a search attribute of the server": [again(search_attributes={"indexed_fields": {"RunId": payload("1")}})],
        **{f"retry: {label}": [again(retry_policy=policy)] for label, policy in RETRIES.items()}},
    "child": {
        "no attributes": [Command(command_type="COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION")],
        "no id": [child(workflow_id="")], "a long id": [child(workflow_id=LONG)], "no type": [child(workflow_type=None)],
        "a long type": [child(workflow_type={"name": LONG})], "a long queue": [child(task_queue={"name": LONG})],
        "a long namespace": [child(namespace=LONG)], "an unknown namespace": [child(namespace="no-such-namespace")],
        "a negative execution timeout": [child(workflow_execution_timeout={"seconds": -1})],
        "a negative run timeout": [child(workflow_run_timeout={"seconds": -1})],
        "a negative task timeout": [child(workflow_task_timeout={"seconds": -1})],
        "an input over the limit": [child(input=BIG)], "a memo over the limit": [child(memo={"fields": {"m": BIG.payloads[0]}})],
        "an unknown search attribute": [child(search_attributes={"indexed_fields": {"NoSuch": payload("1")}})],
        "a bad cron": [child(cron_schedule="never")], "a bad priority": [child(priority={"priority_key": -1})],
        **{f"retry: {label}": [child(retry_policy=policy)] for label, policy in RETRIES.items()}},
    "external": {
        "signal: no attributes": [Command(command_type="COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION")],
        "signal: no execution": [signal(execution=None)], "signal: no workflow id": [signal(execution={"run_id": NO_RUN})],
        "signal: a long workflow id": [signal(execution={"workflow_id": LONG})],
        "signal: a run id that is none": [signal(execution={"workflow_id": "other", "run_id": "run"})],
        "signal: no name": [signal(signal_name="")], "signal: a long name": [signal(signal_name=LONG)],
        "signal: an unknown namespace": [signal(namespace="no-such-namespace")],
        "signal: an input over the limit": [signal(input=BIG)],
        "cancel: no attributes": [Command(command_type="COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION")],
        "cancel: no workflow id": [cancel(workflow_id="")], "cancel: a long workflow id": [cancel(workflow_id=LONG)],
        "cancel: a run id that is none": [cancel(run_id="run")],
        "cancel: an unknown namespace": [cancel(namespace="no-such-namespace")]},
    "marker": {
        "no attributes": [Command(command_type="COMMAND_TYPE_RECORD_MARKER")],
        "no name": [command("RECORD_MARKER")], "a long name": [command("RECORD_MARKER", marker_name=LONG)],
        "details over the limit": [command("RECORD_MARKER", marker_name="m", details={"d": BIG})],
        "upsert: no attributes": [Command(command_type="COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")],
        "upsert: nothing": [command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")],
        "upsert: no fields": [command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={})],
        "upsert: unknown": [command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={
            "indexed_fields": {"NoSuch": payload("1")}})],
        "upsert: of the server": [command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={
            "indexed_fields": {"RunId": payload('"x"')}})],
        "upsert: a value over the limit": [command("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", search_attributes={
            "indexed_fields": {"BatcherUser": payload('"' + "x" * 3000 + '"')}})],
        "memo: no attributes": [Command(command_type="COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES")],
        "memo: nothing": [command("MODIFY_WORKFLOW_PROPERTIES")],
        "memo: no fields": [command("MODIFY_WORKFLOW_PROPERTIES", upserted_memo={})],
        "memo: over the limit": [command("MODIFY_WORKFLOW_PROPERTIES", upserted_memo={"fields": {"m": BIG.payloads[0]}})],
        "nexus: no attributes": [Command(command_type="COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION")],
        "nexus: an unknown endpoint": [command("SCHEDULE_NEXUS_OPERATION", endpoint="none", service="s", operation="o")],
        "nexus: cancel": [command("REQUEST_CANCEL_NEXUS_OPERATION", scheduled_event_id=5)]},
}


INTERNAL = "refused; there it is an internal error, and the task stays open"
DIFFERS = {"command_child_no_attributes": {"RespondWorkflowTaskCompleted": INTERNAL, "history": INTERNAL}}


def bad(kind, label, commands):
    async def play(p):
        await p.start()
        task = await p.poll()
        await p.complete(task, *commands)
        await p.history()
        await p.terminate()
    play.__name__ = f"command_{kind}_{''.join(c if c.isalnum() else '_' for c in label)}".replace("__", "_")
    play.__doc__ = f"{kind}: {label}."
    scenario(play, differs=DIFFERS.get(play.__name__, {}))


for kind_, cases in BAD.items():
    for label_, commands_ in cases.items():
        bad(kind_, label_, commands_)


@scenario
async def command_bad_one_after_good_ones(p):
    """Nothing of the task is kept; the second attempt that is bad fails without an event."""
    await p.start()
    await p.complete(await p.poll(), timer(), command("RECORD_MARKER", marker_name="m"), timer())
    await p.history()
    await p.complete(await p.poll(), timer(), timer(), label="bad again")
    await p.history(label="history after the second")
    await p.terminate()


@scenario
async def commands_with_metadata(p):
    """The user's summary of a command is in its event."""
    await p.start()
    commands = [timer(), activity(), child(workflow_id=p.id + "-child"), command("RECORD_MARKER", marker_name="m")]
    for item in commands:
        item.user_metadata.summary.CopyFrom(payload('"short"'))
        item.user_metadata.details.CopyFrom(payload('"long"'))
    await p.complete(await p.poll(), *commands)
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.terminate()
    await p.history()
    await p.until_event("WORKFLOW_EXECUTION_TERMINATED", p.id + "-child")
    await p.history(p.id + "-child", label="the child's")


@scenario
async def command_timer_of_no_time(p):
    """It fires at once."""
    for label, time in (("none", None), ("zero", seconds(0))):
        name = f"{p.id}-{label}"
        await p.start(name)
        await p.complete(await p.poll(), timer(start_to_fire_timeout=time))
        await p.until_event("TIMER_FIRED", name)
        await p.history(name)
        await p.terminate(name)
