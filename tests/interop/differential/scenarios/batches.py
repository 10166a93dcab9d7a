# SPDX-License-Identifier: Apache-2.0
"""Batch operations: what they do, what is refused, what is said of them. One job runs at a time in a namespace, so these
are played alone."""
from frame import command, scenario, seconds

COMPLETED, FAILED = 2, 3


async def start_runs(p, count):
    for i in range(count):
        await p.ask("StartWorkflowExecution", workflow_id=f"{p.id}-{i}", workflow_type={"name": "T"},
                    task_queue={"name": p.queue}, request_id=f"{p.id}-{i}")

    async def seen():
        return (await p.ask("CountWorkflowExecutions", query=f"TaskQueue = '{p.queue}'")).count == count
    await p.until(seen, "the runs")


async def end(p, job, label):
    """Wait for the end of the job and note what is said of it."""
    async def over():
        described = await p.ask("DescribeBatchOperation", job_id=job)
        return described.state != 1
    await p.until(over, f"the end of {label}")
    said = await p.ask("DescribeBatchOperation", job_id=job)
    p.note(label, f"type {said.operation_type}", f"state {said.state}", f"total {said.total_operation_count}",
           f"complete {said.complete_operation_count}", f"failed {said.failure_operation_count}", said.identity, said.reason,
           "ended" if said.HasField("close_time") else "not ended")


async def job(p, label, **fields):
    name = f"{p.id}-{label}"
    await p.call("StartBatchOperation", label, job_id=name, reason="why", **fields)
    await end(p, name, f"{label}, done")


@scenario(alone=True, timeout=60)
async def batches_of_a_query(p):
    """Signals, cancels, terminates and deletes what a query finds."""
    await start_runs(p, 3)
    query = f"TaskQueue = '{p.queue}'"
    await job(p, "signal", visibility_query=query, signal_operation={"signal": "s", "identity": "me"})
    await job(p, "cancel", visibility_query=query, cancellation_operation={"identity": "me"})
    await job(p, "terminate", visibility_query=query, termination_operation={"identity": "me"})
    events = await p.events(f"{p.id}-0")
    p.note("what happened", *(str(event.event_type) for event in events))

    async def closed():
        return (await p.ask("CountWorkflowExecutions", query=query + " AND ExecutionStatus = 'Terminated'")).count == 3
    await p.until(closed, "the end of the runs")
    await job(p, "signal closed ones", visibility_query=query, signal_operation={"signal": "s", "identity": "me"})
    await job(p, "delete", visibility_query=query, deletion_operation={"identity": "me"})
    await p.call("StopBatchOperation", "stop one that is done", job_id=f"{p.id}-delete", reason="why")
    await p.call("StartBatchOperation", "the same again", job_id=f"{p.id}-delete", reason="why", visibility_query=query,
                 deletion_operation={"identity": "me"})


@scenario(alone=True, timeout=60)
async def batches_of_a_list(p):
    """Runs by name: twice the same one, one that is not there, ids that are none."""
    await start_runs(p, 1)
    run = {"workflow_id": f"{p.id}-0"}
    await job(p, "twice", executions=[run, run], cancellation_operation={"identity": "me"})
    await job(p, "not there", executions=[{"workflow_id": f"{p.id}-none"}], termination_operation={"identity": "me"})
    await job(p, "without an id", executions=[{}], termination_operation={"identity": "me"})
    await job(p, "of a run id that is none", executions=[{"workflow_id": "a", "run_id": "b"}],
              termination_operation={"identity": "me"})
    await job(p, "delete what is not there", executions=[{"workflow_id": f"{p.id}-none"}], deletion_operation={"identity": "me"})
    await job(p, "terminate", executions=[run], termination_operation={"identity": "me"})


async def two_tasks(p, workflow_id):
    """A workflow with two workflow tasks done and a third that waits."""
    await p.ask("StartWorkflowExecution", workflow_id=workflow_id, workflow_type={"name": "T"},
                task_queue={"name": p.queue}, request_id=workflow_id)
    await p.complete(await p.poll(), command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(60)))
    for name in ("one", "two"):
        await p.ask("SignalWorkflowExecution", workflow_execution={"workflow_id": workflow_id}, signal_name=name)
        if name == "one":
            await p.complete(await p.poll())


async def reset_one(p, label, **fields):
    """A job that resets a workflow of its own, and what the newest run is then."""
    workflow_id = f"{p.id}-of-{label.replace(' ', '-')}"
    await two_tasks(p, workflow_id)
    await job(p, label, executions=[{"workflow_id": workflow_id}], reset_operation={"identity": "me", **fields})
    p.note(f"{label}, what happened", *(str(event.event_type) for event in await p.events(workflow_id)))
    await p.ask("TerminateWorkflowExecution", workflow_execution={"workflow_id": workflow_id})  # its task is no other's


@scenario(alone=True, timeout=60)
async def batches_that_reset(p):
    """By each kind of target; by the older fields; where there is none."""
    await reset_one(p, "first", options={"first_workflow_task": {}})
    await reset_one(p, "last", options={"last_workflow_task": {}})
    await reset_one(p, "last without signals", options={"last_workflow_task": {}, "reset_reapply_exclude_types": [1]})
    await reset_one(p, "event", options={"workflow_task_id": 4, "reset_reapply_type": 2})
    await reset_one(p, "older last", reset_type=2, reset_reapply_type=1)
    await reset_one(p, "then options", options={"first_workflow_task": {}}, post_reset_operations=[
        {"update_workflow_options": {"workflow_execution_options": {"versioning_override": {"auto_upgrade": True}},
                                     "update_mask": {"paths": ["versioning_override"]}}}])


@scenario(alone=True, timeout=60)
async def batches_that_cannot_reset(p):
    """Targets that are not there."""
    await start_runs(p, 1)  # no workflow task of it was started
    for label, options in (("first", {"first_workflow_task": {}}), ("last", {"last_workflow_task": {}}),
                           ("event", {"workflow_task_id": 4}), ("build", {"build_id": "b"})):
        await job(p, label, executions=[{"workflow_id": f"{p.id}-0"}, {"workflow_id": f"{p.id}-none"}],
                  reset_operation={"identity": "me", "options": options})


@scenario(alone=True, timeout=60)
async def batches_that_reset_to_a_build(p):
    """The first task that a build completed; in an earlier run of the chain, unless that is not wanted."""
    await p.start()
    build = {"worker_version_stamp": {"build_id": "b1"}, "binary_checksum": "b1"}
    await p.complete(await p.poll(), **build)
    first = (await p.ask("DescribeWorkflowExecution", execution=p.execution())).workflow_execution_info.execution.run_id
    run = {"workflow_id": p.id, "run_id": first}
    await job(p, "another build", executions=[run], reset_operation={"identity": "me", "options": {"build_id": "b2"}})
    await job(p, "of this run", executions=[run],
              reset_operation={"identity": "me", "options": {"build_id": "b1", "current_run_only": True}})
    await p.history(label="after the first reset")
    await job(p, "only of the newest", executions=[{"workflow_id": p.id}],
              reset_operation={"identity": "me", "options": {"build_id": "b1", "current_run_only": True}})
    await job(p, "of any run", executions=[{"workflow_id": p.id}], reset_operation={"identity": "me", "options": {"build_id": "b1"}})
    await p.history(label="after the last reset")


@scenario(alone=True, timeout=60)
async def batches_that_reset_what_a_query_finds(p):
    """Open and closed ones."""
    for i in range(2):
        await p.ask("StartWorkflowExecution", workflow_id=f"{p.id}-{i}", workflow_type={"name": "T"},
                    task_queue={"name": p.queue}, request_id=f"{p.id}-{i}")
    complete = command("COMPLETE_WORKFLOW_EXECUTION")
    for _ in range(2):
        task = await p.poll()
        await p.complete(task, *([complete] if task.workflow_execution.workflow_id.endswith("1") else []))
    query = f"TaskQueue = '{p.queue}'"

    async def seen():
        open_ = await p.ask("CountWorkflowExecutions", query=query + " AND ExecutionStatus = 'Running'")
        return open_.count == 1 and (await p.ask("CountWorkflowExecutions", query=query)).count == 2
    await p.until(seen, "the runs")
    await job(p, "all", visibility_query=query, reset_operation={"identity": "me", "options": {"first_workflow_task": {}}})
    for i in range(2):
        p.note(f"what happened to {i}", *(str(event.event_type) for event in await p.events(f"{p.id}-{i}")))


@scenario
async def batches_refused(p):
    """What is no job."""
    by_query = {"visibility_query": "WorkflowId = 'none'", "job_id": p.id, "reason": "why"}
    terminate = {"termination_operation": {"identity": "me"}}
    await p.call("StartBatchOperation", "without everything")
    await p.call("StartBatchOperation", "without an id", **{**by_query, **terminate, "job_id": ""})
    await p.call("StartBatchOperation", "without a reason", **{**by_query, **terminate, "reason": ""})
    await p.call("StartBatchOperation", "without an operation", **by_query)
    await p.call("StartBatchOperation", "without a query", **{**by_query, **terminate, "visibility_query": ""})
    await p.call("StartBatchOperation", "in an unknown namespace", **{**by_query, **terminate, "namespace": "no-such-namespace"})
    await p.call("StartBatchOperation", "unpause nothing", **by_query, unpause_activities_operation={"identity": "me"})
    await p.call("StartBatchOperation", "unpause no type", **by_query, unpause_activities_operation={"type": ""})
    await p.call("StartBatchOperation", "unpause not all", **by_query, unpause_activities_operation={"match_all": False})
    await p.call("StartBatchOperation", "reset to nowhere", **by_query, reset_operation={"identity": "me"})
    await p.call("StartBatchOperation", "reset without a target", **by_query, reset_operation={"options": {}})
    await p.call("StartBatchOperation", "reset of an unknown kind", **by_query, reset_operation={"reset_type": 9})
    await p.call("StartBatchOperation", "reset no activities", **by_query, reset_activities_operation={"identity": "me"})
    await p.call("StartBatchOperation", "update no activities", **by_query, update_activity_options_operation={"identity": "me"})
    for name, fields in (("DescribeBatchOperation", {}), ("StopBatchOperation", {"reason": "why"})):
        await p.call(name, f"{name}, unknown", job_id="no-such-job", **fields)
        await p.call(name, f"{name}, without an id", **fields)
        await p.call(name, f"{name}, in an unknown namespace", job_id="x", namespace="no-such-namespace", **fields)
    await p.call("StopBatchOperation", "stop without a reason", job_id="no-such-job")
    await p.call("ListBatchOperations", "list in an unknown namespace", namespace="no-such-namespace")
