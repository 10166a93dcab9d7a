# SPDX-License-Identifier: Apache-2.0
"""DescribeWorkflowExecution, DescribeTaskQueue, and what lists refuse."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
NO_RUN = "11111111-2222-4333-8444-555555555555"


@scenario
async def describe_refused(p):
    """One thing is wrong with each request."""
    await p.start()
    for label, fields in {
            "no execution": {"execution": None}, "no workflow id": {"execution": {"run_id": NO_RUN}},
            "a run id that is none": {"execution": p.execution(run_id="run")},
            "another run": {"execution": p.execution(run_id=NO_RUN)},
            "an unknown workflow": {"execution": {"workflow_id": "none-" + p.ending}},
            "a workflow id of 1001 bytes": {"execution": {"workflow_id": "w" * 1001}},
            "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
        await p.call("DescribeWorkflowExecution", label, **{"execution": p.execution(), **fields})
    await p.terminate()


@scenario
async def describe_through_a_life(p):
    """Before, in and after tasks; with an activity in each state, a timer, a child."""
    await p.start(memo={"fields": {"m": payload("1")}}, workflow_execution_timeout=seconds(100))
    await p.describe(label="started")
    task = await p.poll()
    await p.describe(label="task open")
    await p.complete(task, command("START_TIMER", timer_id="t", start_to_fire_timeout=seconds(60)),
                     command("SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"},
                             task_queue={"name": p.queue}, start_to_close_timeout=seconds(50),
                             heartbeat_timeout=seconds(40), retry_policy={"initial_interval": seconds(30)}),
                     command("START_CHILD_WORKFLOW_EXECUTION", workflow_id=p.id + "-child", workflow_type={"name": "C"},
                             task_queue={"name": p.queue + "-other"}), sticky=True)
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.describe(label="activity scheduled")
    activity = await p.poll_activity()
    await p.describe(label="activity started")
    await p.call("RecordActivityTaskHeartbeat", task_token=activity.task_token, details=payloads("7"))
    await p.describe(label="activity beats")
    await p.call("RespondActivityTaskFailed", task_token=activity.task_token,
                 failure={"message": "bad", "application_failure_info": {"type": "Bad"}})
    await p.describe(label="activity backs off")
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(), reason="why")
    await p.describe(label="cancel requested")
    await p.describe(p.id + "-child", label="the child")
    await p.terminate()
    await p.describe(label="terminated")
    await p.until_event("WORKFLOW_EXECUTION_TERMINATED", p.id + "-child")


@scenario
async def describe_transient_task(p):
    """The second attempt of a task."""
    await p.start()
    await p.fail(await p.poll())
    await p.describe(label="scheduled")
    await p.poll()
    await p.describe(label="started")
    await p.terminate()


@scenario
async def describe_what_continued(p):
    """The first run, closed, and the second."""
    first = await p.start(memo={"fields": {"m": payload("1")}})
    await p.complete(await p.poll(), command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T2"}, task_queue={"name": p.queue},
        memo={"fields": {"n": payload("2")}}))
    await p.describe(run_id=first.run_id, label="first")
    await p.describe(label="second")
    await p.terminate()


@scenario
async def describe_failed_and_completed(p):
    """What is left in the description of each."""
    for label, close in (("completed", COMPLETE), ("failed", command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x"}))):
        await p.start(label=f"start {label}")
        await p.complete(await p.poll(label=f"task {label}"), close, label=f"complete {label}")
        await p.describe(label=label)


LISTS = {"ListWorkflowExecutions": {}, "ScanWorkflowExecutions": {}, "CountWorkflowExecutions": {}}


TOKEN = "refused by name; there it is an error without one"


@scenario(differs={f"{name}WorkflowExecutions: a page token that is none": TOKEN for name in ("List", "Scan")})
async def lists_refused(p):
    """Queries that are none."""
    for method in LISTS:
        for label, fields in {
                "not a query": {"query": "this is no query"}, "an open quote": {"query": "WorkflowId = 'x"},
                "an unknown attribute": {"query": "NoSuchAttribute = 'x'"},
                "a number for a keyword": {"query": "WorkflowId = 5"},
                "a time that is none": {"query": "StartTime > 'yesterday'"},
                "an unknown status": {"query": "ExecutionStatus = 'Sleeping'"},
                "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
            await p.call(method, f"{method}: {label}", **fields)
    for method in ("ListWorkflowExecutions", "ScanWorkflowExecutions"):
        await p.call(method, f"{method}: a page token that is none", next_page_token=b"garbage")
        await p.call(method, f"{method}: a negative page size", page_size=-1, query="WorkflowId = 'none'")
    for method in ("ListOpenWorkflowExecutions", "ListClosedWorkflowExecutions"):
        await p.call(method, f"{method}: an unknown namespace", namespace="no-such-namespace")
        await p.call(method, f"{method}: a workflow", execution_filter={"workflow_id": "none-" + p.ending},
                     start_time_filter={"earliest_time": {"seconds": 1}, "latest_time": {"seconds": 4_000_000_000}})
        await p.call(method, f"{method}: times in the wrong order", execution_filter={"workflow_id": "none-" + p.ending},
                     start_time_filter={"earliest_time": {"seconds": 5}, "latest_time": {"seconds": 1}})


@scenario
async def lists_show_a_life(p):
    """One run, listed while it is open and when it is closed."""
    query = f"WorkflowId = '{p.id}'"
    await p.start(memo={"fields": {"m": payload("1")}})

    async def listed(status):
        answer = await p.ask("ListWorkflowExecutions", query=query)
        return [e for e in answer.executions if e.status == status]
    await p.until(lambda: listed(1), "the open run is listed")
    await p.call("ListWorkflowExecutions", "open", query=query)
    await p.call("CountWorkflowExecutions", "count open", query=query)
    await p.complete(await p.poll(), COMPLETE)
    await p.until(lambda: listed(2), "the closed run is listed")
    await p.call("ListWorkflowExecutions", "closed", query=query)
    await p.call("ListClosedWorkflowExecutions", execution_filter={"workflow_id": p.id},
                 start_time_filter={"earliest_time": {"seconds": 1}, "latest_time": {"seconds": 4_000_000_000}})
    await p.call("ScanWorkflowExecutions", query=query)
    await p.call("CountWorkflowExecutions", query=query)
    await p.call("ListWorkflowExecutions", "nothing", query=f"WorkflowId = '{p.id}-none'")


@scenario
async def task_queue_refused(p):
    """DescribeTaskQueue: one thing is wrong with each request."""
    for label, fields in {"no queue": {}, "no name": {"task_queue": {}},
                          "an unknown namespace": {"task_queue": {"name": "q"}, "namespace": "no-such-namespace"}}.items():
        await p.call("DescribeTaskQueue", label, **fields)
