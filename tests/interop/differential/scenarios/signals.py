# SPDX-License-Identifier: Apache-2.0
"""SignalWorkflowExecution and SignalWithStartWorkflowExecution."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
NO_RUN = "11111111-2222-4333-8444-555555555555"


def with_start(p, label=None, **fields):
    fields = {"workflow_id": p.id, "workflow_type": {"name": "T"}, "task_queue": {"name": p.queue},
              "signal_name": "s", **fields}
    return p.call("SignalWithStartWorkflowExecution", label, **fields)


@scenario
async def signal_refused(p):
    """One thing is wrong with each request."""
    await p.start()
    for label, fields in {
            "no execution": {"workflow_execution": None},
            "no workflow id": {"workflow_execution": {"run_id": NO_RUN}},
            "a run id that is none": {"workflow_execution": p.execution(run_id="run")},
            "another run": {"workflow_execution": p.execution(run_id=NO_RUN)},
            "an unknown workflow": {"workflow_execution": {"workflow_id": "none-" + p.ending}},
            "no name": {"signal_name": ""},
            "a name of 1001 bytes": {"signal_name": "s" * 1001},
            "a request id of 1001 bytes": {"request_id": "r" * 1001},
            "a workflow id of 1001 bytes": {"workflow_execution": {"workflow_id": "w" * 1001}},
            "an unknown namespace": {"namespace": "no-such-namespace"},
            "an input over the limit": {"input": payloads('"' + "x" * 2_200_000 + '"')}}.items():
        await p.call("SignalWorkflowExecution", label, **{"workflow_execution": p.execution(), "signal_name": "s", **fields})
    await p.terminate()


@scenario
async def signal_with_everything(p):
    """Input, header, links, a request id that comes twice: in the event."""
    run = await p.start()
    task = await p.poll()
    for number in range(2):
        await p.signal("go", request_id="one", input=payloads("1"), header={"fields": {"h": payload("2")}},
                       links=[{"workflow_event": {"namespace": "default", "workflow_id": "w", "run_id": "r"}}])
    await p.signal("by run", workflow_execution=p.execution(run_id=run.run_id))
    await p.history(label="buffered")
    await p.complete(task)
    await p.complete(await p.poll(), COMPLETE)
    await p.history()
    await p.signal(label="when closed")
    await p.signal(label="the closed run", workflow_execution=p.execution(run_id=run.run_id))


@scenario
async def signals_between_tasks(p):
    """They bring one task; those that come while it is open bring the next."""
    await p.start()
    await p.complete(await p.poll())
    await p.signal("a")
    await p.signal("b")
    task = await p.poll()
    await p.signal("c")
    await p.signal("d")
    await p.complete(task, COMPLETE, label="unhandled")
    task = await p.poll()
    await p.complete(task, COMPLETE)
    await p.history()


@scenario
async def signal_with_start_refused(p):
    """One thing is wrong with each request."""
    for label, fields in {
            "no workflow id": {"workflow_id": ""}, "no type": {"workflow_type": {}}, "no queue": {"task_queue": {}},
            "no signal name": {"signal_name": ""}, "a signal name of 1001 bytes": {"signal_name": "s" * 1001},
            "a negative timeout": {"workflow_run_timeout": {"seconds": -1}},
            "a bad retry policy": {"retry_policy": {"maximum_attempts": -1}},
            "a bad cron": {"cron_schedule": "never"},
            "cron and a delay": {"cron_schedule": "* * * * *", "workflow_start_delay": seconds(1)},
            "terminate if running, with fail": {"workflow_id_reuse_policy": 4, "workflow_id_conflict_policy": 1},
            "conflict policy fail": {"workflow_id_conflict_policy": 1},
            "rejecting with terminate existing": {"workflow_id_reuse_policy": 3, "workflow_id_conflict_policy": 3},
            "an unknown search attribute": {"search_attributes": {"indexed_fields": {"NoSuch": payload("1")}}},
            "a request id of 1001 bytes": {"request_id": "r" * 1001},
            "an unknown namespace": {"namespace": "no-such-namespace"},
            "a signal's input over the limit": {"signal_input": payloads('"' + "x" * 2_200_000 + '"')}}.items():
        await with_start(p, label, **fields)


@scenario
async def signal_with_start_policies(p):
    """On a run that is open and on one that is closed."""
    first = await with_start(p, "first", signal_input=payloads("1"), input=payloads("2"))
    await with_start(p, "running")
    await with_start(p, "running, rejecting", workflow_id_reuse_policy=3)
    second = await with_start(p, "terminate existing", workflow_id_conflict_policy=3)
    await p.history(run_id=first.run_id, label="the terminated one")
    await with_start(p, "terminate if running", workflow_id_reuse_policy=4)
    await p.history(run_id=second.run_id, label="the second one")
    await p.terminate()
    await with_start(p, "closed, rejecting", workflow_id_reuse_policy=3)
    await with_start(p, "closed, failed only", workflow_id_reuse_policy=2)
    await p.complete(await p.poll(), COMPLETE)
    await with_start(p, "completed, failed only", workflow_id_reuse_policy=2)
    await with_start(p, "completed")
    await p.history()
    await p.terminate()


@scenario(differs={"the same request again": "a request that is repeated starts nothing, also when its run has closed",
                   "last": "so there is no second run"})
async def signal_with_start_everything(p):
    """Delay, memo, timeouts, header, metadata: the two events that it makes."""
    await with_start(p, signal_input=payloads("1"), input=payloads("2"), memo={"fields": {"m": payload("3")}},
                     header={"fields": {"h": payload("4")}}, workflow_execution_timeout=seconds(100),
                     retry_policy={"maximum_attempts": 2}, user_metadata={"summary": payload('"short"')},
                     priority={"priority_key": 3}, request_id="one")
    await p.history()
    await p.complete(await p.poll(), COMPLETE)
    await with_start(p, "the same request again", request_id="one")
    await p.history(label="last")


@scenario
async def signal_with_start_delayed(p):
    """The signal waits with the run."""
    await with_start(p, workflow_start_delay=seconds(0.4))
    await p.history(label="waiting")
    await p.complete(await p.poll(), COMPLETE)
    await p.history()
