# SPDX-License-Identifier: Apache-2.0
"""Activities: timeouts, heartbeats, retries, failures of each kind, cancellation."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
ONCE = {"maximum_attempts": 1}


def activity(p, activity_id="a", **fields):
    return command("SCHEDULE_ACTIVITY_TASK", **{
        "activity_id": activity_id, "activity_type": {"name": "A"}, "task_queue": {"name": p.queue},
        "start_to_close_timeout": seconds(30), "retry_policy": {"initial_interval": seconds(0.1)}, **fields})


async def begin(p, *commands):
    await p.start()
    await p.complete(await p.poll(), *commands)


def application(message="bad", **info):
    return {"message": message, "application_failure_info": {"type": "Bad", **info}}


async def end(p):
    """The task that the activity's end brings, and what the history says."""
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def activity_with_everything(p):
    """All attributes of the command, in the event and in the task."""
    await begin(p, command(
        "SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"}, task_queue={"name": p.queue},
        input=payloads("1", "2"), header={"fields": {"h": payload("3")}}, schedule_to_close_timeout=seconds(100),
        schedule_to_start_timeout=seconds(90), start_to_close_timeout=seconds(80), heartbeat_timeout=seconds(70),
        retry_policy={"initial_interval": seconds(2), "backoff_coefficient": 3, "maximum_interval": seconds(9),
                      "maximum_attempts": 5, "non_retryable_error_types": ["X"]},
        priority={"priority_key": 2}))
    act = await p.poll_activity()
    await p.call("RespondActivityTaskCompleted", task_token=act.task_token, result=payloads("4"))
    await end(p)


@scenario
async def activity_timeouts_are_filled_in(p):
    """Those that are not given follow from those that are."""
    for number, timeouts in enumerate((
            {"start_to_close_timeout": seconds(10)}, {"schedule_to_close_timeout": seconds(10)},
            {"start_to_close_timeout": seconds(20), "schedule_to_close_timeout": seconds(10)},
            {"schedule_to_close_timeout": seconds(10), "schedule_to_start_timeout": seconds(20)},
            {"start_to_close_timeout": seconds(10), "heartbeat_timeout": seconds(20)},
            {"start_to_close_timeout": {"seconds": 999_999_999}},
            {"start_to_close_timeout": seconds(10), "schedule_to_start_timeout": seconds(0)})):
        name = f"{p.id}-{number}"
        await p.start(name, workflow_run_timeout=seconds(300))
        await p.complete(await p.poll(), command("SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"},
                                                 task_queue={"name": p.queue + "-a"}, **timeouts))
        await p.history(name)
        act = await p.poll_activity(queue=p.queue + "-a")
        await p.call("RespondActivityTaskCompleted", task_token=act.task_token)
        await p.terminate(name)


@scenario
async def activity_without_a_queue(p):
    """It goes to the workflow's own."""
    await begin(p, command("SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"},
                           start_to_close_timeout=seconds(10)))
    await p.history()
    await p.terminate()


FAILURES = {
    "no failure": None, "a message": {"message": "bad"}, "an application failure": application(),
    "not retryable": application(non_retryable=True), "of a type that is not retried": application(type="Never"),
    "canceled": {"message": "x", "canceled_failure_info": {}},
    "a timeout": {"message": "x", "timeout_failure_info": {"timeout_type": 1}},
    "terminated": {"message": "x", "terminated_failure_info": {}},
    "of a server": {"message": "x", "server_failure_info": {"non_retryable": True}},
    "with a cause": {**application(), "cause": application("deep", details=payloads("1"))},
    "with a next delay": application(next_retry_delay=seconds(0.2))}


def failing(label, failure):
    async def play(p):
        await begin(p, activity(p, retry_policy={"initial_interval": seconds(0.1), "maximum_attempts": 2,
                                                 "non_retryable_error_types": ["Never"]}))
        act = await p.poll_activity()
        refused = await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=failure) is None
        if not refused and label not in ("not retryable", "of a type that is not retried"):
            act = await p.poll_activity()
            await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=failure)
        if refused:
            await p.terminate()
            await p.history()
        else:
            await end(p)
    play.__name__ = "activity_fails_" + label.replace(" ", "_")
    play.__doc__ = f"A failure: {label}."
    scenario(play)


for label_, failure_ in FAILURES.items():
    failing(label_, failure_)


@scenario
async def activity_retries_until_they_end(p):
    """The attempts, with what the last one said and beat."""
    await begin(p, activity(p, retry_policy={"initial_interval": seconds(0.1), "backoff_coefficient": 1, "maximum_attempts": 3},
                            heartbeat_timeout=seconds(20)))
    for number in range(3):
        act = await p.poll_activity()
        await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads(str(number)))
        await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application(str(number)),
                     last_heartbeat_details=payloads(f"9{number}") if number else None)
    await end(p)


@scenario
async def activity_times_out_by_the_clock(p):
    """Each of the four, without retries."""
    await begin(p, activity(p, "start-to-close", start_to_close_timeout=seconds(1), retry_policy=ONCE),
                activity(p, "schedule-to-close", start_to_close_timeout=seconds(20), schedule_to_close_timeout=seconds(1)))
    for _ in range(2):
        await p.ask("PollActivityTaskQueue", task_queue={"name": p.queue})
    await p.until_event("ACTIVITY_TASK_TIMED_OUT", count=2)
    events = [e for e in await p.events() if e.event_type in (12, 14)]
    p.note("timed out", *sorted((e.activity_task_timed_out_event_attributes for e in events if e.event_type == 14),
                                key=lambda a: a.scheduled_event_id))
    await p.terminate()


@scenario
async def activity_is_not_polled_for(p):
    """Schedule-to-start and schedule-to-close with no worker."""
    await begin(p, activity(p, "start", schedule_to_start_timeout=seconds(1)),
                activity(p, "close", schedule_to_close_timeout=seconds(1)))
    await p.until_event("ACTIVITY_TASK_TIMED_OUT", count=2)
    p.note("timed out", *sorted((e.activity_task_timed_out_event_attributes for e in await p.events() if e.event_type == 14),
                                key=lambda a: a.scheduled_event_id))
    await p.terminate()


@scenario
async def activity_stops_beating(p):
    """Its last details are in the timeout."""
    await begin(p, activity(p, heartbeat_timeout=seconds(1), retry_policy=ONCE))
    act = await p.poll_activity()
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads("5"))
    await p.until_event("ACTIVITY_TASK_TIMED_OUT")
    await p.call("RecordActivityTaskHeartbeat", "too late", task_token=act.task_token)
    await end(p)


@scenario
async def activity_stops_beating_and_is_retried(p):
    """The next attempt knows what the last one beat."""
    await begin(p, activity(p, heartbeat_timeout=seconds(1)))
    act = await p.poll_activity()
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads("5"))
    again = await p.poll_activity()
    await p.call("RespondActivityTaskCompleted", task_token=again.task_token, result=payloads("6"))
    await end(p)


@scenario
async def activity_canceled_in_every_state(p):
    """Scheduled, started, backing off, done."""
    await begin(p, activity(p, "later", task_queue={"name": p.queue + "-none"}), activity(p, "done"), activity(p, "failed",
                retry_policy={"initial_interval": seconds(50)}), activity(p, "started"))
    acts = {}
    for _ in range(3):
        act = await p.ask("PollActivityTaskQueue", task_queue={"name": p.queue})
        acts[act.activity_id] = act
    await p.call("RespondActivityTaskFailed", task_token=acts["failed"].task_token, failure=application())
    await p.call("RespondActivityTaskCompleted", task_token=acts["done"].task_token)
    await p.complete(await p.poll(), *(command("REQUEST_CANCEL_ACTIVITY_TASK", scheduled_event_id=i) for i in (5, 7, 8)))
    beat = await p.call("RecordActivityTaskHeartbeat", task_token=acts["started"].task_token)
    p.note("asked to stop", beat.cancel_requested)
    await p.call("RespondActivityTaskCanceled", task_token=acts["started"].task_token, details=payloads("1"))
    await p.until_event("ACTIVITY_TASK_CANCELED", count=1)
    await end(p)


@scenario
async def activity_canceled_completes_or_fails(p):
    """Asked to stop, it does what it likes; a failure is not retried."""
    await begin(p, activity(p, "completes"), activity(p, "fails"), activity(p, "says it was canceled"))
    acts = {}
    for _ in range(3):
        act = await p.ask("PollActivityTaskQueue", task_queue={"name": p.queue})
        acts[act.activity_id] = act
    await p.signal()
    await p.complete(await p.poll(), *(command("REQUEST_CANCEL_ACTIVITY_TASK", scheduled_event_id=i) for i in (5, 6, 7)))
    await p.call("RespondActivityTaskCompleted", task_token=acts["completes"].task_token, result=payloads("1"))
    await p.call("RespondActivityTaskFailed", task_token=acts["fails"].task_token, failure=application())
    await p.call("RespondActivityTaskFailed", "failed as canceled", task_token=acts["says it was canceled"].task_token,
                 failure={"message": "x", "canceled_failure_info": {"details": payloads("2")}})
    await p.describe()
    await p.terminate()
    await p.history()


LARGE = "the failure that was too large is not kept, not even its beginning"


@scenario(differs={"failure": LARGE, "history failure": LARGE})
async def activity_answers_over_the_limit(p):
    """A result, a failure, details of more than two megabytes."""
    big = payloads('"' + "x" * 2_200_000 + '"')
    for label, method, fields in (("result", "RespondActivityTaskCompleted", {"result": big}),
                                  ("failure", "RespondActivityTaskFailed", {"failure": application("x" * 2_200_000)}),
                                  ("details", "RecordActivityTaskHeartbeat", {"details": big})):
        name = f"{p.id}-{label}"
        await p.start(name, label=f"start {label}")
        await p.complete(await p.poll(f"task {label}"), activity(p, retry_policy=ONCE), label=f"done {label}")
        act = await p.poll_activity(f"activity {label}")
        await p.call(method, label, task_token=act.task_token, **fields)
        await p.terminate(name, label=f"terminate {label}")
        await p.history(name, label=f"history {label}")


@scenario
async def activity_eagerly(p):
    """The task comes with the completion that schedules it, when it is asked for and the queue is the workflow's."""
    await p.start()
    answer = await p.complete(await p.poll(), activity(p, "a", request_eager_execution=True),
                              activity(p, "b", request_eager_execution=True, task_queue={"name": p.queue + "-other"}),
                              activity(p, "c"))
    for act in answer.activity_tasks:
        await p.call("RespondActivityTaskCompleted", f"completed {act.activity_id}", task_token=act.task_token)
    await p.terminate()
    await p.history()


@scenario
async def polls_refused(p):
    """One thing is wrong with each request."""
    for method in ("PollWorkflowTaskQueue", "PollActivityTaskQueue"):
        for label, fields in {
                "no queue": {}, "no name": {"task_queue": {"kind": 1}},
                "a queue of 1001 bytes": {"task_queue": {"name": "q" * 1001}},
                "an identity of 1001 bytes": {"task_queue": {"name": p.queue}, "identity": "i" * 1001},
                "a build id of 256 bytes": {"task_queue": {"name": p.queue},
                                            "worker_version_capabilities": {"build_id": "b" * 256, "use_versioning": True}},
                "a sticky queue without a normal name": {"task_queue": {"name": p.queue, "kind": 2}},
                "an unknown namespace": {"task_queue": {"name": p.queue}, "namespace": "no-such-namespace"},
                "a queue of the server": {"task_queue": {"name": "/_sys/q"}}}.items():
            await p.call(method, f"{method}: {label}", timeout=4, **fields)
    await p.call("PollWorkflowTaskQueue", "a short time", timeout=0.5, task_queue={"name": p.queue})
    await p.call("ShutdownWorker", "no queue")
    await p.call("ShutdownWorker", sticky_task_queue=p.sticky, reason="done")
    await p.call("ResetStickyTaskQueue", "no execution")
    await p.call("ResetStickyTaskQueue", "unknown", execution={"workflow_id": "none-" + p.ending})
    await p.start()
    await p.call("ResetStickyTaskQueue", execution=p.execution())
    await p.terminate()
    await p.call("ResetStickyTaskQueue", "closed", execution=p.execution())
