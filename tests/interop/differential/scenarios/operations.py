# SPDX-License-Identifier: Apache-2.0
"""What operators do: activities paused, unpaused, reset, given other options; limits of queues; workers that report."""
from frame import command, payloads, scenario, seconds
from scenarios.activities import activity, application, begin


def run_of(p):
    return {"workflow_id": p.id}


async def pending(p):
    await p.call("DescribeWorkflowExecution", execution=run_of(p))


@scenario
async def operations_refused(p):
    """What names no activity, no run, no options."""
    await begin(p, activity(p))
    run = run_of(p)
    for call in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        await p.call(call)
        await p.call(call, execution=run)
    for call in ("PauseActivity", "UnpauseActivity", "ResetActivity"):
        await p.call(call, execution=run, id="x")
        await p.call(call, execution=run, type="x")
        await p.call(call, execution={"workflow_id": p.id, "run_id": "x"}, id="a")
    options = {"start_to_close_timeout": seconds(9)}
    mask = {"paths": ["start_to_close_timeout"]}
    await p.call("UpdateActivityOptions", execution=run, id="a")
    await p.call("UpdateActivityOptions", execution=run, id="a", activity_options=options)
    await p.call("UpdateActivityOptions", execution=run, id="x", activity_options=options, update_mask=mask)
    await p.call("UpdateActivityOptions", execution=run, id="a", activity_options=options, update_mask=mask,
                 restore_original=True)
    for path in ("task_queue.name", "retry_policy.maximum_attempts"):
        await p.call("UpdateActivityOptions", execution=run, id="a", activity_options={}, update_mask={"paths": [path]})
    await p.call("UpdateActivityOptions", execution=run, id="a", activity_options={}, update_mask=mask)
    await p.call("UpdateActivityOptions", execution=run, id="a", update_mask=mask,
                 activity_options={"start_to_close_timeout": {"seconds": -1}})
    await p.call("UpdateActivityOptions", execution=run, id="a", update_mask={"paths": ["taskQueue.name"]},
                 activity_options={"task_queue": {"name": ""}})
    await p.call("TerminateWorkflowExecution", workflow_execution=run)
    for call in ("PauseActivity", "UnpauseActivity", "ResetActivity", "UpdateActivityOptions"):
        await p.call(call, execution=run, id="a")


@scenario
async def pause_waiting(p):
    """One that no worker has is paused, shown, unpaused, and given out."""
    await begin(p, activity(p))
    run = run_of(p)
    await p.call("PauseActivity", execution=run, id="a", identity="op", reason="why")
    await pending(p)
    await p.call("PauseActivity", execution=run, id="a", identity="other")
    await p.call("UnpauseActivity", execution=run, id="a")
    act = await p.poll_activity()
    await p.call("RespondActivityTaskCompleted", task_token=act.task_token)
    await p.complete(await p.poll(), command("COMPLETE_WORKFLOW_EXECUTION"))
    await p.history()


@scenario
async def pause_is_found(p):
    """Lists find runs by the types of activities that are paused, as long as they are."""
    await begin(p, activity(p))
    run = run_of(p)
    query = f"WorkflowId = '{p.id}' AND TemporalPauseInfo = 'property:activityType=A'"

    async def found():
        return bool((await p.ask("ListWorkflowExecutions", query=query)).executions)

    async def gone():
        return not await found()

    await p.call("PauseActivity", execution=run, id="a")
    await p.until(found, "the run that has something paused")
    await p.call("UnpauseActivity", execution=run, id="a")
    await p.until(gone, "no run that has something paused")
    await p.call("TerminateWorkflowExecution", workflow_execution=run)


@scenario
async def pause_running(p):
    """A running attempt is told by its heartbeat; what fails is tried again after the pause."""
    await begin(p, activity(p, heartbeat_timeout=seconds(20)))
    run = run_of(p)
    act = await p.poll_activity()
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads("1"))
    await p.call("PauseActivity", execution=run, type="A", identity="op", reason="why")
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads("2"))
    await p.call("RecordActivityTaskHeartbeatById", workflow_id=p.id, activity_id="a", details=payloads("3"))
    await pending(p)
    await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application())
    await pending(p)
    await p.call("UnpauseActivity", execution=run, type="A")
    await p.poll_activity()
    await p.call("TerminateWorkflowExecution", workflow_execution=run)
    await p.history()


@scenario
async def unpause_with_resets(p):
    """Attempts and heartbeat details begin anew."""
    await begin(p, activity(p, retry_policy={"maximum_attempts": 1}))
    run = run_of(p)
    act = await p.poll_activity()
    await p.call("PauseActivity", execution=run, id="a")
    await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application(),
                 last_heartbeat_details=payloads("1"))
    await p.call("UnpauseActivity", execution=run, id="a", reset_attempts=True, reset_heartbeat=True)
    await p.poll_activity()


@scenario
async def reset_in_backoff(p):
    """A long backoff is cut short, with the first attempt again."""
    await begin(p, activity(p, retry_policy={"initial_interval": seconds(100)}))
    act = await p.poll_activity()
    await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application())
    await p.call("ResetActivity", execution=run_of(p), id="a")
    await p.poll_activity()
    await pending(p)


@scenario
async def reset_running(p):
    """The first attempt is told, and may go on; a later one is not known any more."""
    await begin(p, activity(p))
    run = run_of(p)
    act = await p.poll_activity()
    await p.call("ResetActivity", execution=run, id="a", reset_heartbeat=True)
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token, details=payloads("1"))
    await pending(p)
    await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application())
    act = await p.poll_activity()
    await p.call("ResetActivity", execution=run, id="a")
    await p.call("RecordActivityTaskHeartbeat", task_token=act.task_token)
    await p.call("RespondActivityTaskCompleted", task_token=act.task_token)
    await p.call("RespondActivityTaskCompletedById", workflow_id=p.id, activity_id="a")
    await p.history()


@scenario
async def reset_paused(p):
    """keep_paused, and without it."""
    await begin(p, activity(p, retry_policy={"initial_interval": seconds(100)}))
    run = run_of(p)
    act = await p.poll_activity()
    await p.call("PauseActivity", execution=run, id="a")
    await p.call("RespondActivityTaskFailed", task_token=act.task_token, failure=application())
    await p.call("ResetActivity", execution=run, id="a", keep_paused=True)
    await pending(p)
    await p.call("ResetActivity", execution=run, id="a")
    await p.poll_activity()


@scenario
async def other_options(p):
    """Each of them, what follows from them, and the original ones again."""
    await begin(p, activity(p))
    run = run_of(p)
    for path, options in (
            ("start_to_close_timeout", {"start_to_close_timeout": seconds(40)}),
            ("heartbeatTimeout", {"heartbeat_timeout": seconds(90)}),
            ("schedule_to_close_timeout", {"schedule_to_close_timeout": seconds(20)}),
            ("schedule_to_start_timeout", {"schedule_to_start_timeout": seconds(50)}),
            ("retry_policy.initial_interval", {"retry_policy": {"initial_interval": seconds(7)}}),
            ("retry_policy.maximum_attempts", {"retry_policy": {"maximum_attempts": 7}}),
            ("retry_policy", {"retry_policy": {"maximum_attempts": 8}}), ("nothing", {})):
        await p.call("UpdateActivityOptions", execution=run, id="a", activity_options=options,
                     update_mask={"paths": [path]})
    await p.call("UpdateActivityOptions", execution=run, id="a", update_mask={"paths": ["task_queue.name"]},
                 activity_options={"task_queue": {"name": p.queue + "-o"}})
    await p.poll_activity(queue=p.queue + "-o")
    await p.call("UpdateActivityOptions", execution=run, type="A", restore_original=True)
    await pending(p)


@scenario
async def queue_limits(p):
    """Limits are set, refused, taken off; each answer tells all of them."""
    def limit(rate):
        return {"rate_limit": {"requests_per_second": rate}, "reason": "why"}
    queue = {"task_queue": {"name": p.queue}, "task_queue_type": 2, "report_config": True}
    await p.ask("DescribeTaskQueue", **queue)
    await p.call("UpdateTaskQueueConfig", task_queue=p.queue, task_queue_type=1, update_queue_rate_limit=limit(1))
    await p.call("UpdateTaskQueueConfig", task_queue=p.queue, task_queue_type=2, update_queue_rate_limit=limit(-1))
    await p.call("UpdateTaskQueueConfig", task_queue=p.queue, task_queue_type=2, update_queue_rate_limit=limit(5.5))
    await p.call("UpdateTaskQueueConfig", task_queue=p.queue, task_queue_type=2,
                 update_fairness_key_rate_limit_default=limit(2))

    async def holds():
        described = await p.ask("DescribeTaskQueue", **queue)
        return described.effective_rate_limit.rate_limit_source == 1
    await p.until(holds, "the limit of the queue")
    await p.call("DescribeTaskQueue", **queue)
    await p.call("UpdateTaskQueueConfig", task_queue=p.queue, task_queue_type=2, update_queue_rate_limit={})
    await p.call("UpdateTaskQueueConfig", task_queue="/_sys/x/1", task_queue_type=2)


@scenario(profile="workers")
async def workers_report(p):
    """Heartbeats, the list with queries, one worker."""
    for key, status in (("a", 1), ("b", 3)):
        await p.call("RecordWorkerHeartbeat", worker_heartbeat=[{
            "worker_instance_key": p.id + key, "worker_identity": "me", "task_queue": p.queue + key, "status": status,
            "host_info": {"host_name": "host"}, "sdk_name": "sdk", "start_time": {"seconds": 1_700_000_000}}])
    await p.call("DescribeWorker", worker_instance_key=p.id + "a")
    await p.call("DescribeWorker", worker_instance_key=p.id + "x")
    for query in (f"TaskQueue = '{p.queue}a'", f"TaskQueue starts_with '{p.queue}' AND WorkerStatus = 'Shutdown'",
                  f"WorkerInstanceKey = '{p.id}b' AND StartTime > '2020-01-01T00:00:00Z'",
                  f"WorkerInstanceKey = '{p.id}b' AND StartTime between '2020-01-01T00:00:00Z' and "
                  "'2021-01-01T00:00:00Z'", "Unknown = 'x'", "TaskQueue = 1", "TaskQueue = 'x' limit 1"):
        await p.call("ListWorkers", query=query)
    await p.call("ShutdownWorker", worker_heartbeat={"worker_instance_key": p.id + "a", "status": 3})
    await p.call("DescribeWorker", worker_instance_key=p.id + "a")
