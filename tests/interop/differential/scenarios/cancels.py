# SPDX-License-Identifier: Apache-2.0
"""RequestCancelWorkflowExecution, TerminateWorkflowExecution, DeleteWorkflowExecution."""
from frame import command, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
CANCELED = command("CANCEL_WORKFLOW_EXECUTION", details=payloads("1"))
TIMER = command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(60))
NO_RUN = "11111111-2222-4333-8444-555555555555"


def executions(p):
    """Label to an execution that cannot be."""
    return {"no execution": None, "no workflow id": {"run_id": NO_RUN}, "a run id that is none": p.execution(run_id="run"),
            "another run": p.execution(run_id=NO_RUN), "an unknown workflow": {"workflow_id": "none-" + p.ending},
            "a workflow id of 1001 bytes": {"workflow_id": "w" * 1001}}


def refused(method, more):
    async def play(p):
        await p.start()
        for label, execution in executions(p).items():
            await p.call(method, label, workflow_execution=execution)
        for label, fields in more.items():
            await p.call(method, label, workflow_execution=p.execution(), **fields)
        await p.call(method, "an unknown namespace", workflow_execution=p.execution(), namespace="no-such-namespace")
        await p.terminate()
    play.__name__ = f"refused_{method}"
    play.__doc__ = "One thing is wrong with each request."
    scenario(play)


LONG = {"an identity of 1001 bytes": {"identity": "i" * 1001}}
refused("RequestCancelWorkflowExecution",
        {"another first run": {"first_execution_run_id": NO_RUN}, "a first run that is none": {"first_execution_run_id": "x"},
         "a request id of 1001 bytes": {"request_id": "r" * 1001}, "a long reason": {"reason": "r" * 2000}, **LONG})
refused("TerminateWorkflowExecution",
        {"another first run": {"first_execution_run_id": NO_RUN}, "a first run that is none": {"first_execution_run_id": "x"},
         "details over the limit": {"details": payloads('"' + "x" * 2_200_000 + '"')}})
refused("DeleteWorkflowExecution", {})


@scenario
async def cancel_twice(p):
    """The second request is no error for a client, whatever its request id."""
    await p.start()
    await p.complete(await p.poll(), TIMER)
    for request_id in ("a", "a", "b"):
        await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(), request_id=request_id, reason="why")
    await p.complete(await p.poll(), CANCELED)
    await p.history()
    await p.call("RequestCancelWorkflowExecution", "when closed", workflow_execution=p.execution())
    await p.call("RequestCancelWorkflowExecution", "when closed, by run", workflow_execution=p.execution(NO_RUN))


@scenario
async def cancel_while_a_task_is_open(p):
    """The request is buffered; a completion that does not know of it is refused."""
    run = await p.start()
    task = await p.poll()
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(run_id=run.run_id),
                 first_execution_run_id=run.run_id)
    await p.complete(task, COMPLETE, label="unhandled")
    await p.describe()
    await p.complete(await p.poll(), CANCELED)
    await p.history()
    await p.describe(label="describe canceled")


@scenario
async def cancel_that_nobody_asked_for(p):
    """A workflow may end as canceled by itself."""
    await p.start()
    await p.complete(await p.poll(), CANCELED)
    await p.history()


@scenario
async def terminate_with_everything(p):
    """Details, reason and links; the first run of a chain as a condition."""
    run = await p.start()
    await p.call("TerminateWorkflowExecution", workflow_execution=p.execution(), reason="enough", details=payloads("1"),
                 first_execution_run_id=run.run_id,
                 links=[{"workflow_event": {"namespace": "default", "workflow_id": "w", "run_id": "r"}}])
    await p.history()
    await p.terminate(label="again")
    await p.terminate(label="again, by run", run_id=run.run_id)
    await p.describe()


@scenario
async def terminate_before_the_first_task(p):
    """No poller was ever there."""
    await p.start()
    await p.terminate()
    await p.history()
    await p.poll(timeout=2)


@scenario
async def terminate_by_the_first_run_of_a_chain(p):
    """A run that continued as new is named by the first one."""
    first = await p.start()
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}))
    await p.terminate(label="the first run itself", run_id=first.run_id)
    await p.terminate(label="the chain", first_execution_run_id=first.run_id)
    await p.history()


@scenario(timeout=120)
async def delete_a_closed_run(p):
    """It is gone from describe and history in time."""
    run = await p.start()
    await p.complete(await p.poll(), COMPLETE)
    await p.call("DeleteWorkflowExecution", workflow_execution=p.execution(run_id=run.run_id))

    async def gone():
        from frame import Refused
        try:
            await p.ask("DescribeWorkflowExecution", execution=p.execution(run_id=run.run_id))
        except Refused as error:
            return error.code == "NOT_FOUND"
    await p.until(gone, "the run's end", timeout=80)
    await p.describe(label="describe")
    await p.describe(run_id=run.run_id, label="describe the run")
    await p.history()
    await p.start(label="again", workflow_id_reuse_policy=3)
    await p.terminate()


@scenario(timeout=120)
async def delete_an_open_run(p):
    """It is terminated first."""
    run = await p.start()
    await p.call("DeleteWorkflowExecution", workflow_execution=p.execution())

    async def gone():
        from frame import Refused
        try:
            await p.ask("DescribeWorkflowExecution", execution=p.execution(run_id=run.run_id))
        except Refused as error:
            return error.code == "NOT_FOUND"
    await p.until(gone, "the run's end", timeout=80)
    await p.call("DeleteWorkflowExecution", "again", workflow_execution=p.execution())
    await p.signal()
