# SPDX-License-Identifier: Apache-2.0
"""StartWorkflowExecution: what is refused and how, what stands in the first event, id policies, eager starts."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"r"'))
FAIL = command("FAIL_WORKFLOW_EXECUTION", failure={"message": "no"})
CANCEL = command("CANCEL_WORKFLOW_EXECUTION")
REUSE = ("ALLOW_DUPLICATE", "ALLOW_DUPLICATE_FAILED_ONLY", "REJECT_DUPLICATE", "TERMINATE_IF_RUNNING")
CONFLICT = ("FAIL", "USE_EXISTING", "TERMINATE_EXISTING")

REFUSED = {
    "no workflow id": {"workflow_id": ""},
    "a workflow id of 1001 bytes": {"workflow_id": "w" * 1001},
    "no type": {"workflow_type": {}},
    "a type of 1001 bytes": {"workflow_type": {"name": "t" * 1001}},
    "no queue": {"task_queue": None},
    "a queue without a name": {"task_queue": {"kind": 1}},
    "a queue of 1001 bytes": {"task_queue": {"name": "q" * 1001}},
    "a queue of the server": {"task_queue": {"name": "/_sys/mine"}},
    "a sticky queue": {"task_queue": {"name": "q", "kind": 2}},
    "a request id of 1001 bytes": {"request_id": "r" * 1001},
    "a negative execution timeout": {"workflow_execution_timeout": {"seconds": -1}},
    "a negative run timeout": {"workflow_run_timeout": {"seconds": -1}},
    "a negative task timeout": {"workflow_task_timeout": {"seconds": -1}},
    "a duration of mixed signs": {"workflow_run_timeout": {"seconds": 1, "nanos": -1}},
    "a duration of too many nanoseconds": {"workflow_run_timeout": {"seconds": 1, "nanos": 1_000_000_000}},
    "a negative delay": {"workflow_start_delay": {"seconds": -1}},
    "retry: a negative interval": {"retry_policy": {"initial_interval": {"seconds": -1}}},
    "retry: a coefficient below 1": {"retry_policy": {"initial_interval": seconds(1), "backoff_coefficient": 0.5}},
    "retry: a negative coefficient": {"retry_policy": {"initial_interval": seconds(1), "backoff_coefficient": -1}},
    "retry: a negative maximum interval": {"retry_policy": {"maximum_interval": {"seconds": -1}}},
    "retry: the maximum below the first interval": {
        "retry_policy": {"initial_interval": seconds(10), "maximum_interval": seconds(1)}},
    "retry: negative attempts": {"retry_policy": {"maximum_attempts": -1}},
    "retry: an unknown timeout type": {"retry_policy": {"non_retryable_error_types": ["TemporalTimeout:Never"]}},
    "cron: no schedule": {"cron_schedule": "not a cron"},
    "cron: too few fields": {"cron_schedule": "* * *"},
    "cron and a delay": {"cron_schedule": "* * * * *", "workflow_start_delay": seconds(1)},
    "an unknown search attribute": {"search_attributes": {"indexed_fields": {"NoSuchAttribute": payload('"x"')}}},
    "a search attribute of the server": {"search_attributes": {"indexed_fields": {"WorkflowId": payload('"x"')}}},
    "an unknown namespace": {"namespace": "no-such-namespace"},
    "no namespace": {"namespace": ""},
    "a namespace of 1001 bytes": {"namespace": "n" * 1001},
    "a summary that is too long": {"user_metadata": {"summary": payload('"' + "s" * 500 + '"')}},
    "details that are too long": {"user_metadata": {"details": payload('"' + "s" * 20_001 + '"')}},
    "a negative priority": {"priority": {"priority_key": -1}},
    "a fairness key that is too long": {"priority": {"fairness_key": "f" * 65}},
    "an input over the limit": {"input": payloads('"' + "x" * 2_200_000 + '"')},
    "a memo over the limit": {"memo": {"fields": {"m": payload('"' + "x" * 2_200_000 + '"')}}},
    "more links than there may be": {
        "links": [{"workflow_event": {"namespace": "n", "workflow_id": str(i), "run_id": "r"}} for i in range(11)]},
    "an empty link": {"links": [{}]},
    "continued from failure": {"continued_failure": {"message": "x"}},
    "an unknown reuse policy": {"workflow_id_reuse_policy": 77},
    "an unknown conflict policy": {"workflow_id_conflict_policy": 77},
}


@scenario(differs={"an unknown reuse policy": "refused; there it is an internal error",
                   "an unknown conflict policy": "refused; there it is let pass when nothing runs",
                   "an unknown conflict policy, terminated": "so there is no run"})
async def start_refused(p):
    """One thing is wrong with each request."""
    for label, fields in REFUSED.items():
        await p.start(label=label, **fields)
        if label.startswith("an unknown") or label == "continued from failure":
            await p.terminate(label=label + ", terminated")


@scenario
async def start_reuse_with_conflict_policy(p):
    """Every pair of policies on an id that nobody has: which may not be used together."""
    for reuse in REUSE:
        for conflict in CONFLICT:
            name = f"{p.id}-{reuse}-{conflict}"
            await p.start(name, f"{reuse} with {conflict}", workflow_id_reuse_policy="WORKFLOW_ID_REUSE_POLICY_" + reuse,
                          workflow_id_conflict_policy="WORKFLOW_ID_CONFLICT_POLICY_" + conflict)
            await p.terminate(name, f"{reuse} with {conflict}, ended")


@scenario
async def start_with_everything(p):
    """All that a client may say of a run, in its first event and in its description."""
    await p.start(input=payloads("1", "2"), workflow_execution_timeout=seconds(500), workflow_run_timeout=seconds(400),
                  workflow_task_timeout=seconds(30), request_id="the request", header={"fields": {"h": payload('"head"')}},
                  memo={"fields": {"m": payload('"memo"'), "n": payload("7")}},
                  retry_policy={"maximum_attempts": 3, "non_retryable_error_types": ["A", "B"]},
                  user_metadata={"summary": payload('"short"'), "details": payload('"long"')},
                  priority={"priority_key": 2, "fairness_key": "fair", "fairness_weight": 1.5},
                  links=[{"workflow_event": {"namespace": "default", "workflow_id": "w", "run_id": "r",
                                             "event_ref": {"event_id": 3, "event_type": 1}}}])
    await p.history()
    await p.describe()
    task = await p.poll()
    await p.complete(task, COMPLETE)
    await p.describe(label="describe when closed")


@scenario
async def start_defaults_of_retry_policy(p):
    """Fields of a retry policy that are not set, and what becomes of them."""
    for number, policy in enumerate(({}, {"initial_interval": seconds(2)}, {"backoff_coefficient": 3},
                                     {"maximum_interval": seconds(5)}, {"maximum_attempts": 1},
                                     {"initial_interval": seconds(200)},
                                     {"initial_interval": seconds(2), "maximum_interval": seconds(2)})):
        await p.start(f"{p.id}-{number}", retry_policy=policy)
        await p.history(f"{p.id}-{number}")
        await p.terminate(f"{p.id}-{number}")


@scenario
async def start_timeouts_are_capped(p):
    """A run's timeout is at most the execution's, a task's at most two minutes and the run's."""
    for number, (execution, run, task) in enumerate(((0, 0, 0), (100, 0, 0), (100, 200, 0), (0, 100, 0), (0, 0, 500),
                                                     (0, 5, 20), (50, 0, 60), (400_000_000_000, 0, 0))):
        await p.start(f"{p.id}-{number}", workflow_execution_timeout={"seconds": execution},
                      workflow_run_timeout={"seconds": run}, workflow_task_timeout={"seconds": task})
        await p.history(f"{p.id}-{number}")
        await p.describe(f"{p.id}-{number}")
        await p.terminate(f"{p.id}-{number}")


@scenario
async def start_again_with_the_same_request_id(p):
    """It is the same start, also when the run is closed."""
    await p.start(request_id="one")
    await p.start(request_id="one", label="again")
    await p.start(request_id="two", label="another")
    await p.start(request_id="one", label="again, rejecting", workflow_id_reuse_policy=3)
    await p.terminate()
    await p.start(request_id="one", label="again, closed")
    await p.start(request_id="one", label="again, closed and rejecting", workflow_id_reuse_policy=3)
    await p.history()


def reuse_after(state, close):
    async def play(p):
        for policy in REUSE:
            workflow_id = f"{p.id}-{policy}"
            started = await p.start(workflow_id)
            await close(p, workflow_id)
            await p.start(workflow_id, f"{policy} when {state}", workflow_id_reuse_policy="WORKFLOW_ID_REUSE_POLICY_" + policy,
                          task_queue={"name": p.queue + "-other"})
            await p.terminate(workflow_id, f"{policy} ended")
            await p.history(workflow_id, started.run_id, f"{policy} first run")
    play.__name__ = f"start_when_{state}"
    play.__doc__ = f"Each reuse policy on an id whose last run is {state}."
    scenario(play)


def by(*commands):
    async def close(p, workflow_id):
        await p.complete(await p.poll(), *commands)
    return close


async def by_cancel(p, workflow_id):
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(workflow_id))
    await p.complete(await p.poll(), CANCEL)


async def by_terminate(p, workflow_id):
    await p.poll()
    await p.terminate(workflow_id)


reuse_after("completed", by(COMPLETE))
reuse_after("failed", by(FAIL))
reuse_after("canceled", by_cancel)
reuse_after("terminated", by_terminate)


@scenario
async def start_when_timed_out(p):
    """A run that ended by its timeout counts as failed."""
    await p.start(workflow_run_timeout=seconds(1))
    await p.until_event("WORKFLOW_EXECUTION_TIMED_OUT")
    await p.start(label="rejecting", workflow_id_reuse_policy=3)
    await p.start(label="failed only", workflow_id_reuse_policy=2)
    await p.terminate()


@scenario
async def start_when_running(p):
    """Each conflict and reuse policy on an id that runs."""
    await p.start(request_id="first")
    await p.start(label="none given")
    for policy in REUSE[:3]:
        await p.start(label=policy, workflow_id_reuse_policy="WORKFLOW_ID_REUSE_POLICY_" + policy)
    await p.start(label="use existing", workflow_id_conflict_policy=2)
    await p.start(label="use existing, failed only", workflow_id_conflict_policy=2, workflow_id_reuse_policy=2)
    old = await p.start(label="terminate existing", workflow_id_conflict_policy=3)
    await p.start(label="terminate if running", workflow_id_reuse_policy=4)
    await p.history(run_id=old.run_id, label="the terminated one")
    await p.history()
    await p.terminate()


@scenario
async def start_terminates_what_has_a_task(p):
    """The terminated run's task is open: it ends with the run, and its answer comes too late."""
    first = await p.start()
    task = await p.poll()
    await p.signal()
    await p.start(label="terminate existing", workflow_id_conflict_policy=3)
    await p.complete(task, COMPLETE, label="too late")
    await p.history(run_id=first.run_id)
    await p.terminate()


@scenario
async def start_eagerly(p):
    """The first task comes with the answer; a second start of the same request gets it again."""
    first = await p.start(request_eager_execution=True, request_id="one")
    await p.start(request_eager_execution=True, request_id="one", label="again")
    await p.start(request_eager_execution=True, request_id="two", label="another")
    await p.complete(first.eager_workflow_task, COMPLETE)
    await p.start(request_eager_execution=True, request_id="one", label="again when closed")
    await p.history()


@scenario
async def start_eagerly_with_a_delay(p):
    """A delayed start is not eager."""
    await p.start(request_eager_execution=True, workflow_start_delay=seconds(0.5))
    task = await p.poll()
    await p.complete(task, COMPLETE)
    await p.history()


@scenario
async def start_eager_task_fails(p):
    """The second attempt comes by the queue."""
    first = await p.start(request_eager_execution=True)
    await p.fail(first.eager_workflow_task)
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def start_with_a_delay(p):
    """Signals do not wake a delayed run, signal-with-start does."""
    await p.start(workflow_start_delay=seconds(60))
    await p.describe()
    await p.signal()
    await p.history(label="signalled")
    await p.call("SignalWithStartWorkflowExecution", workflow_id=p.id, workflow_type={"name": "T"},
                 task_queue={"name": p.queue}, signal_name="now")
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def start_delayed_is_canceled_and_terminated(p):
    """While the first task is not even scheduled."""
    await p.start(workflow_start_delay=seconds(60))
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(), reason="why")
    await p.history(label="canceled")
    await p.call("QueryWorkflow", execution=p.execution(), query={"query_type": "q"}, timeout=3)
    await p.terminate()
    await p.history()
