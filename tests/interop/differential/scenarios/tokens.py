# SPDX-License-Identifier: Apache-2.0
"""Task tokens that are wrong, late, or of somebody else."""
from frame import command, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
WORKFLOW = ("RespondWorkflowTaskCompleted", "RespondWorkflowTaskFailed")
ACTIVITY = ("RespondActivityTaskCompleted", "RespondActivityTaskFailed", "RespondActivityTaskCanceled",
            "RecordActivityTaskHeartbeat")


def activity(p, activity_id="a", **fields):
    return command("SCHEDULE_ACTIVITY_TASK", **{
        "activity_id": activity_id, "activity_type": {"name": "A"}, "task_queue": {"name": p.queue},
        "start_to_close_timeout": seconds(30), "retry_policy": {"maximum_attempts": 1}, **fields})


OWN = "there is no namespace of the engine's own"


@scenario(differs={"in the server's namespace": OWN, "activity in the server's namespace": OWN})
async def tokens_that_are_none(p):
    """Empty, garbage, cut off, of another kind."""
    await p.start()
    task = await p.poll()
    for method in WORKFLOW + ACTIVITY:
        await p.call(method, f"{method}: empty")
        await p.call(method, f"{method}: garbage", task_token=b"\xff\xfe garbage")
        await p.call(method, f"{method}: cut off", task_token=task.task_token[:10])
    await p.call("RespondActivityTaskCompleted", "a workflow task's", task_token=task.task_token)
    await p.call("RespondWorkflowTaskCompleted", "in another namespace", task_token=task.task_token,
                 namespace="no-such-namespace")
    await p.call("RespondWorkflowTaskCompleted", "in the server's namespace", task_token=task.task_token,
                 namespace="temporal-system")
    await p.complete(task, activity(p))
    act = await p.poll_activity()
    await p.call("RespondWorkflowTaskCompleted", "an activity task's", task_token=act.task_token)
    await p.call("RespondActivityTaskCompleted", "activity in another namespace", task_token=act.task_token,
                 namespace="no-such-namespace")
    await p.call("RespondActivityTaskCompleted", "activity in the server's namespace", task_token=act.task_token,
                 namespace="temporal-system")
    await p.call("RespondActivityTaskCompleted", "without a namespace", task_token=act.task_token, namespace="")
    await p.terminate()


@scenario
async def tokens_used_twice(p):
    """Each answer after each answer."""
    await p.start()
    task = await p.poll()
    await p.complete(task, *(activity(p, str(i), task_queue={"name": f"{p.queue}-{i}"}) for i in range(3)))
    await p.complete(task, label="completed again")
    await p.fail(task, label="failed after completed")
    ends = (("RespondActivityTaskCompleted", {"result": payloads("1")}),
            ("RespondActivityTaskFailed", {"failure": {"message": "bad", "application_failure_info": {}}}),
            ("RespondActivityTaskFailed", {"failure": {"message": "bad", "application_failure_info": {"non_retryable": True}}}))
    for number, (first, fields) in enumerate(ends):
        act = await p.poll_activity(queue=f"{p.queue}-{number}")
        await p.call(first, task_token=act.task_token, **fields)
        for then in ACTIVITY:
            await p.call(then, f"{then} after {first} {len(p.steps)}", task_token=act.task_token)
    await p.terminate()
    await p.complete(task, label="completed after the end")


@scenario
async def tokens_of_an_older_attempt(p):
    """A task that was given away again."""
    await p.start(workflow_task_timeout=seconds(1))
    old = await p.poll()
    new = await p.poll()
    await p.complete(old, COMPLETE, label="the old one")
    await p.fail(old, label="the old one fails")
    await p.complete(new, activity(p, start_to_close_timeout=seconds(1), retry_policy={"initial_interval": seconds(0.1)}))
    old = await p.poll_activity()
    new = await p.poll_activity()
    for method in ACTIVITY:
        await p.call(method, f"{method} of the first attempt", task_token=old.task_token)
    await p.call("RespondActivityTaskCompleted", task_token=new.task_token)
    await p.terminate()


@scenario
async def tokens_after_the_end(p):
    """The run was terminated while both of its tasks were out."""
    await p.start()
    await p.complete(await p.poll(), activity(p))
    act = await p.poll_activity()
    await p.signal()
    task = await p.poll()
    await p.terminate()
    await p.complete(task, COMPLETE)
    await p.fail(task)
    for method in ACTIVITY:
        await p.call(method, task_token=act.task_token)


@scenario
async def activities_by_id(p):
    """Found by workflow id, run id and activity id; what is refused."""
    run = await p.start()
    await p.complete(await p.poll(), *(activity(p, str(i)) for i in range(4)))
    name = {"workflow_id": p.id, "run_id": run.run_id}
    by_id = ("RespondActivityTaskCompletedById", "RespondActivityTaskFailedById", "RespondActivityTaskCanceledById",
             "RecordActivityTaskHeartbeatById")
    for method in by_id:
        for label, fields in {
                "no workflow id": {"activity_id": "0"}, "no activity id": name, "no such activity": {**name, "activity_id": "x"},
                "no such workflow": {"workflow_id": "none-" + p.ending, "activity_id": "0"},
                "a run id that is none": {"workflow_id": p.id, "run_id": "run", "activity_id": "0"},
                "not started": {**name, "activity_id": "3"} if method.endswith("CanceledById") else {**name, "activity_id": "y"},
                "an unknown namespace": {**name, "activity_id": "0", "namespace": "no-such-namespace"}}.items():
            await p.call(method, f"{method}: {label}", **fields)
    await p.call("RespondActivityTaskCompletedById", **name, activity_id="0", result=payloads("1"))
    await p.call("RespondActivityTaskCompletedById", "again", **name, activity_id="0", result=payloads("1"))
    for _ in range(3):
        await p.ask("PollActivityTaskQueue", task_queue={"name": p.queue})
    await p.call("RecordActivityTaskHeartbeatById", workflow_id=p.id, activity_id="1", details=payloads("2"))
    await p.call("RespondActivityTaskFailedById", workflow_id=p.id, activity_id="1", failure={"message": "bad", "application_failure_info": {}})
    await p.call("RespondActivityTaskCanceledById", workflow_id=p.id, activity_id="2")
    await p.call("RespondActivityTaskCompletedById", "without a run id", workflow_id=p.id, activity_id="2")
    await p.terminate()
    await p.call("RespondActivityTaskCompletedById", "when closed", workflow_id=p.id, activity_id="3")
    await p.history()
