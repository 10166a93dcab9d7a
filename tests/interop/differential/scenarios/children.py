# SPDX-License-Identifier: Apache-2.0
"""Child workflows, and signals and cancels to other workflows."""
from frame import command, payload, payloads, scenario, seconds
from temporalio.api.enums.v1 import EventType

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"r"'))
NO_RUN = "11111111-2222-4333-8444-555555555555"


def child(p, name="child", **fields):
    """On a queue of its own, so that tasks of parent and child are told apart."""
    return command("START_CHILD_WORKFLOW_EXECUTION", **{
        "workflow_id": f"{p.id}-{name}", "workflow_type": {"name": "C"}, "task_queue": {"name": p.queue + "-child"}, **fields})


async def begin(p, *commands, **fields):
    await p.start(**fields)
    await p.complete(await p.poll(), *commands)


async def child_task(p):
    return await p.poll(queue=p.queue + "-child")


@scenario
async def child_with_everything(p):
    """All attributes of the command, in both histories."""
    await begin(p, child(
        p, input=payloads("1"), workflow_execution_timeout=seconds(100), workflow_run_timeout=seconds(90),
        workflow_task_timeout=seconds(20), parent_close_policy=2, control="c", retry_policy={"maximum_attempts": 2},
        header={"fields": {"h": payload("2")}}, memo={"fields": {"m": payload("3")}}, priority={"priority_key": 4},
        search_attributes={"indexed_fields": {"TemporalChangeVersion": payload('["v"]')}}))
    task = await child_task(p)
    await p.complete(await p.poll("the parent learns of it"))
    await p.complete(task, COMPLETE, label="the child is done")
    await p.complete(await p.poll("the parent again"), COMPLETE)
    await p.history()
    await p.history(p.id + "-child", label="the child's")
    await p.describe(p.id + "-child")


def ending(label, close):
    async def play(p):
        await begin(p, child(p))
        await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
        task = await p.poll()
        await p.complete(task)
        await close(p)
        await p.complete(await p.poll("the parent learns of it"), COMPLETE)
        await p.history()
    play.__name__ = f"child_{label}"
    play.__doc__ = "How a child's end looks to its parent."
    scenario(play)


def by(*commands):
    async def close(p):
        await p.complete(await child_task(p), *commands)
    return close


async def by_terminate(p):
    await p.terminate(p.id + "-child")


async def by_cancel(p):
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(p.id + "-child"))
    await p.complete(await child_task(p), command("CANCEL_WORKFLOW_EXECUTION", details=payloads("1")))


async def by_continuing(p):
    await p.complete(await child_task(p), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "C"},
                                                  task_queue={"name": p.queue + "-child"}))
    await p.complete(await child_task(p), COMPLETE)
    await p.history(p.id + "-child", label="the child's")


ending("completes", by(COMPLETE))
ending("fails", by(command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x", "application_failure_info": {"type": "T"}})))
ending("is_terminated", by_terminate)
ending("is_canceled", by_cancel)
ending("continues", by_continuing)


@scenario
async def child_times_out(p):
    """Its run timeout."""
    await begin(p, child(p, workflow_run_timeout=seconds(1)))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_TIMED_OUT")
    await p.terminate()
    await p.history()


@scenario
async def child_is_retried(p):
    """The parent learns only of the last run."""
    await begin(p, child(p, retry_policy={"initial_interval": seconds(0.1), "maximum_attempts": 2}))
    fail = command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x", "application_failure_info": {"type": "T"}})
    await p.complete(await child_task(p), fail)
    await p.complete(await child_task(p), fail)
    await p.until_event("CHILD_WORKFLOW_EXECUTION_FAILED")
    await p.terminate()
    await p.history()
    await p.history(p.id + "-child", label="the child's last run")


@scenario
async def child_ids_that_are_taken(p):
    """By each reuse policy: an id that runs and one that is closed."""
    for name in ("running", "closed"):
        await p.start(f"{p.id}-{name}", task_queue={"name": p.queue + "-other"})
    await p.terminate(p.id + "-closed")
    for policy in (1, 2, 3, 4):
        name = f"{p.id}-by-{policy}"
        await p.start(name)
        await p.complete(await p.poll(), child(p, "running", workflow_id_reuse_policy=policy, parent_close_policy=2),
                         child(p, "closed", workflow_id_reuse_policy=policy, parent_close_policy=1))

        async def both():
            kinds = [e.event_type for e in await p.events(name)]
            return sum(k in (31, 32) for k in kinds) == 2
        await p.until(both, "both are decided")
        p.note(f"policy {policy}", *sorted(
            f"{getattr(a, 'workflow_id', '') or a.workflow_execution.workflow_id} {getattr(a, 'cause', 'started')}"
            for e in await p.events(name) if e.event_type in (31, 32)
            for a in [getattr(e, e.WhichOneof("attributes"))]))
        await p.terminate(name)

        async def left():
            answer = await p.ask("DescribeWorkflowExecution", execution=p.execution(p.id + "-closed"))
            return answer.workflow_execution_info.status != 1
        await p.until(left, "the child ends with its parent")
    await p.terminate(p.id + "-running")


@scenario
async def child_close_policies(p):
    """Each of them, when the parent completes, fails, is canceled, continues."""
    for label, close in {"completed": COMPLETE, "canceled": command("CANCEL_WORKFLOW_EXECUTION"),
                         "failed": command("FAIL_WORKFLOW_EXECUTION", failure={"message": "x"}),
                         "continued": command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                              task_queue={"name": p.queue + "-unpolled"})}.items():
        name = f"{p.id}-{label}"
        await p.start(name, label=f"start {label}")
        await p.complete(await p.poll(f"poll {label}"), *(child(p, f"{label}-{policy}", parent_close_policy=policy)
                                                          for policy in range(4)), label=f"done {label}")
        await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED", name, count=4)
        task = await p.ask("PollWorkflowTaskQueue", task_queue={"name": p.queue})
        await p.complete(task, close, label=f"closed {label}")

        async def decided():
            kinds = [[e.event_type for e in await p.events(f"{name}-{policy}")] for policy in range(4)]
            return 27 in kinds[0] and 27 in kinds[1] and 20 in kinds[3]
        await p.until(decided, "the policies")
        for policy in range(4):
            await p.history(f"{name}-{policy}", label=f"{label}, policy {policy}")
            if policy > 1:
                await p.terminate(f"{name}-{policy}", label=f"{label}, policy {policy}, ended")
        if label == "continued":
            await p.terminate(name, label="the continued one")


@scenario
async def child_canceled_by_its_parent(p):
    """Cancel of a child that runs, by workflow id; a second one."""
    await begin(p, child(p))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.complete(await p.poll(), command("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", workflow_id=p.id + "-child",
                                             child_workflow_only=True, reason="why", control="c"))
    await p.until_event("EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    await p.complete(await child_task(p), command("CANCEL_WORKFLOW_EXECUTION"))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_CANCELED")
    await p.terminate()
    await p.history()
    await p.history(p.id + "-child", label="the child's")


@scenario
async def external_signal_and_cancel(p):
    """To a run that is there, that is closed, that never was, to itself, with a run id."""
    for name in ("open", "closed"):
        await p.start(f"{p.id}-{name}", task_queue={"name": p.queue + "-other"})
    await p.terminate(p.id + "-closed")
    targets = {"open": {"workflow_id": p.id + "-open"}, "closed": {"workflow_id": p.id + "-closed"},
               "none": {"workflow_id": p.id + "-none"}, "another run": {"workflow_id": p.id + "-open", "run_id": NO_RUN},
               "itself": {"workflow_id": p.id}}
    for number, (label, target) in enumerate(targets.items()):
        name = p.id if label == "itself" else f"{p.id}-by-{number}"
        await p.start(name, label=f"start {label}")
        task = await p.poll(f"poll {label}")
        await p.complete(task, command("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION", execution=target, signal_name="s",
                                       input=payloads("1"), control="c", header={"fields": {"h": payload("2")}}),
                         label=f"signal {label}")

        async def told(*kinds):
            names = [EventType.Name(e.event_type)[11:] for e in await p.events(name)]
            return any(kind in names for kind in kinds)
        await p.until(lambda: told("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
                                   "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"), "the signal")
        task = await p.poll(f"then {label}")
        await p.complete(task, command("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION", workflow_id=target["workflow_id"],
                                       run_id=target.get("run_id", ""), reason="why"), label=f"cancel {label}")
        await p.until(lambda: told("EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
                                   "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"), "the cancel")
        await p.history(name, label=f"history {label}")
        await p.terminate(name, label=f"terminate {label}")
    await p.history(p.id + "-open", label="the one that was there")
    await p.terminate(p.id + "-open", label="terminate the one that was there")
