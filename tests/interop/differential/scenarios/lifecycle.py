# SPDX-License-Identifier: Apache-2.0
"""Cron, retries and delays of workflows; what starts leave on runs; UpdateWorkflowExecutionOptions."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"r"'))
FAIL = command("FAIL_WORKFLOW_EXECUTION", failure={"message": "boom", "application_failure_info": {"type": "X"}})
CANCEL = command("CANCEL_WORKFLOW_EXECUTION")
NO_RUN = "11111111-2222-4333-8444-555555555555"
LINK = {"workflow_event": {"namespace": "default", "workflow_id": "a", "run_id": "b",
                           "event_ref": {"event_id": 3, "event_type": 1}}}


@scenario
async def cron_goes_on(p):
    """After a result, after a failure, after nothing: each run is told of the one before."""
    await p.start(cron_schedule="@every 1s", input=payloads("1"), memo={"fields": {"m": payload("2")}}, links=[LINK],
                  priority={"priority_key": 2}, user_metadata={"summary": payload('"s"')})
    await p.describe()
    for close in (COMPLETE, FAIL, command("COMPLETE_WORKFLOW_EXECUTION"), CANCEL):
        task = await p.poll()
        await p.complete(task, close)
        await p.history(run_id=task.workflow_execution.run_id)
    await p.describe(label="cancelled")


@scenario
async def cron_with_retries_and_timeouts(p):
    """A failure is retried first; a timeout, too."""
    await p.start(cron_schedule="@every 1s", workflow_run_timeout=seconds(1),
                  retry_policy={"maximum_attempts": 2, "initial_interval": seconds(1)})
    for _ in range(2):
        task = await p.poll()
        await p.complete(task, FAIL)
        await p.history(run_id=task.workflow_execution.run_id)
    run_id = (await p.poll()).workflow_execution.run_id
    await p.until_event("WORKFLOW_EXECUTION_TIMED_OUT", run_id=run_id)
    await p.history(run_id=run_id)
    await p.history(label="the one that waits")


@scenario
async def cron_ends(p):
    """By continue-as-new without a schedule, and by the execution timeout."""
    await p.start(cron_schedule="@every 1s")
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}))
    await p.complete(await p.poll(), COMPLETE)
    await p.history()
    await p.start(p.id + "-2", cron_schedule="@every 1s", workflow_execution_timeout=seconds(2.6))
    await p.complete(await p.poll(), COMPLETE)
    await p.until_event("WORKFLOW_EXECUTION_TIMED_OUT", p.id + "-2")
    await p.history(p.id + "-2", label="out of time")


@scenario
async def cron_while_it_waits(p):
    """Signals wait, a signal-with-start and a cancel request do not."""
    await p.start(cron_schedule="@every 1h")
    await p.signal()
    await p.history(label="signalled")
    await p.call("SignalWithStartWorkflowExecution", workflow_id=p.id, workflow_type={"name": "T"},
                 task_queue={"name": p.queue}, signal_name="y")
    await p.history(label="with a start")
    await p.start(p.id + "-2", cron_schedule="@every 1h")
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(p.id + "-2"))
    await p.history(p.id + "-2", label="a cancel request")
    await p.call("SignalWithStartWorkflowExecution", "a new one", workflow_id=p.id + "-3", workflow_type={"name": "T"},
                 task_queue={"name": p.queue}, signal_name="y", cron_schedule="@every 1h")
    await p.history(p.id + "-3")
    await p.start(p.id + "-4", cron_schedule="@every 1h", request_eager_execution=True)
    await p.history(p.id + "-4", label="not eager")
    await p.terminate(p.id + "-4")
    await p.describe(p.id + "-4")


@scenario
async def cron_schedules(p):
    """What is taken and what is refused."""
    for schedule in ("* * * *", "* * * * * *", "bogus", "60 * * * *", "0 0 30 2 *", "@every 0s", "@every x", "@hourly",
                     "CRON_TZ=Europe/Berlin 0 12 * * mon-fri", "TZ=UTC 1-5/2 * * jan,feb ?", "CRON_TZ=None/Such * * * * *", " "):
        await p.start(f"{p.id}-{schedule}", label=repr(schedule), cron_schedule=schedule)
        await p.call("SignalWithStartWorkflowExecution", f"{schedule!r} with a signal", workflow_id=f"{p.id}-s-{schedule}",
                     workflow_type={"name": "T"}, task_queue={"name": p.queue}, signal_name="y", cron_schedule=schedule)
    await p.start(label="with a delay", cron_schedule="* * * * *", workflow_start_delay=seconds(1))
    await p.start(label="with no delay", cron_schedule="* * * * *", workflow_start_delay=seconds(0))


@scenario
async def cron_of_a_child(p):
    """It waits for its time; one that is none leaves the parent's task as it is."""
    child = {"workflow_id": p.id + "-child", "workflow_type": {"name": "C"}, "task_queue": {"name": p.queue + "-child"}}
    await p.start()
    task = await p.poll()
    for schedule in ("bogus", "0 0 30 2 *"):
        await p.complete(task, command("START_CHILD_WORKFLOW_EXECUTION", **child, cron_schedule=schedule), label=schedule)
    await p.complete(task, command("START_CHILD_WORKFLOW_EXECUTION", **child, cron_schedule="@every 1h"))
    await p.until_event("CHILD_WORKFLOW_EXECUTION_STARTED")
    await p.history()
    await p.history(p.id + "-child", label="the child's")


@scenario
async def cron_of_a_continuation(p):
    """It is not looked at before it is needed."""
    await p.start()
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}, cron_schedule="bogus"))
    await p.history(label="continued")
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def retry_carries(p):
    """What the next attempt gets of the first one."""
    await p.start(retry_policy={"maximum_attempts": 3, "initial_interval": seconds(0.1)}, links=[LINK], memo={
        "fields": {"m": payload("1")}}, last_completion_result=payloads('"last"'), continued_failure={"message": "old"},
        user_metadata={"summary": payload('"s"')}, header={"fields": {"h": payload("2")}}, priority={"priority_key": 2})
    await p.complete(await p.poll(), FAIL)
    await p.history()
    await p.describe()
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}))
    await p.history(label="continued")


@scenario
async def continue_as_new_and_builds(p):
    """The build goes on with the next run, and the reset points too, which have ids and checksums apart."""
    first = await p.start()
    for i, fields in enumerate(({"worker_version_stamp": {"build_id": "b1"}}, {"worker_version_stamp": {"build_id": "b2"}},
                                {"worker_version_stamp": {"build_id": "b1"}}, {})):
        await p.complete(await p.poll(), command("START_TIMER", timer_id=str(i), start_to_fire_timeout=seconds(0.05)), **fields)
    await p.describe(label="four workers")
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                             task_queue={"name": p.queue}, inherit_build_id=True),
                     worker_version_stamp={"build_id": "b2"}, binary_checksum="sum")
    await p.poll()
    await p.history(label="the next run's")
    await p.history(run_id=first.run_id, label="the first run's")


@scenario
async def delayed_start(p):
    """Described while it waits; a cancel request ends the wait, a signal does not."""
    await p.start(workflow_start_delay=seconds(3600), workflow_execution_timeout=seconds(500), workflow_run_timeout=seconds(50))
    await p.signal()
    await p.describe()
    await p.history(label="waiting")
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution())
    await p.complete(await p.poll(), CANCEL)
    await p.history()


async def attach(p, label, **fields):
    return await p.start(label=label, workflow_id_conflict_policy=2, **fields)


@scenario
async def conflict_options(p):
    """A start that uses the run that is there leaves its request id and links."""
    await p.start()
    once = {"attach_request_id": True}
    await attach(p, "no options")
    await attach(p, "empty options", on_conflict_options={}, links=[LINK])
    for label in ("a request id", "the same once more"):
        await attach(p, label, on_conflict_options=once, links=[LINK], request_id="once-" + p.ending)
    await attach(p, "the same without options", request_id="once-" + p.ending)
    await attach(p, "links", on_conflict_options={"attach_links": True}, links=[LINK])
    await attach(p, "callbacks without a request id", on_conflict_options={"attach_completion_callbacks": True})
    await p.start(label="by a policy that fails", on_conflict_options=once)
    await p.history()
    task = await p.poll()
    await attach(p, "while a task is started", on_conflict_options={"attach_request_id": True, "attach_links": True},
                 links=[LINK], request_id="late-" + p.ending)
    await p.describe(label="buffered")
    await p.complete(task)
    await p.history(label="flushed")
    await p.describe()
    await p.terminate()
    await p.start(label="the request once more", request_id="late-" + p.ending, workflow_id_reuse_policy=3)


async def set_options(p, label, override, paths=("versioning_override",), **fields):
    fields = {"workflow_execution": p.execution(), "update_mask": {"paths": list(paths)},
              "workflow_execution_options": {"versioning_override": override} if override is not None else {}, **fields}
    return await p.call("UpdateWorkflowExecutionOptions", label, **fields)


AUTO = {"auto_upgrade": True}
PINNED = {"pinned": {"behavior": 1, "version": {"deployment_name": "d", "build_id": "b"}}}


@scenario
async def options_set(p):
    """In all forms, old and new."""
    await p.start()
    for label, override in {
            "upgrade": AUTO, "the same": AUTO, "pinned": PINNED, "none": None, "none again": None, "old upgrade": {"behavior": 2},
            "old pinned": {"behavior": 1, "pinned_version": "d.b2"},
            "older pinned": {"behavior": 1, "deployment": {"series_name": "d", "build_id": "b3"}}}.items():
        await set_options(p, label, override)
    await p.history()


@scenario(differs={"none any more": "build ids are noted by tasks that complete, not by options"})
async def options_while_a_task_is_started(p):
    """Their event waits, they are valid at once."""
    await p.start()
    await set_options(p, "upgrade", AUTO)
    await p.describe()
    task = await p.poll()
    await set_options(p, "none", None)
    await p.describe(label="none any more")
    await p.complete(task)
    await p.history(label="flushed")


@scenario
async def options_refused(p):
    """One thing is wrong with each request."""
    await p.start()
    for label, override in {
            "nothing": {}, "not upgrade": {"auto_upgrade": False}, "pinned to nothing": {"pinned": {"behavior": 1}},
            "pinned without behaviour": {"pinned": {"version": {"deployment_name": "d", "build_id": "b"}}},
            "upgrade to a version": {"behavior": 2, "pinned_version": "d.b"}, "no dot": {"behavior": 1, "pinned_version": "db"},
            "upgrade to a deployment": {"behavior": 2, "deployment": {"series_name": "d", "build_id": "b"}},
            "old pinned to nothing": {"behavior": 1}}.items():
        await set_options(p, label, override)
    for label, paths in {"*": ["*"], "camel": ["versioningOverride"], "unknown": ["none"], "half": ["versioning_override.behavior"],
                         "halves": ["versioning_override.behavior", "versioning_override.deployment"], "no paths": [],
                         "too deep": ["versioning_override.behavior.x"], "deep": ["versioning_override.pinned.version"]}.items():
        await set_options(p, "mask: " + label, AUTO, paths)
    for label, fields in {"no mask": {"update_mask": None}, "no options": {"workflow_execution_options": None},
                          "no execution": {"workflow_execution": None}, "another run": {
                              "workflow_execution": p.execution(run_id=NO_RUN)},
                          "no run id": {"workflow_execution": p.execution(run_id="run")},
                          "an unknown workflow": {"workflow_execution": {"workflow_id": "none-" + p.ending}}}.items():
        await set_options(p, label, AUTO, **fields)
    await p.history()
    await p.terminate()
    await set_options(p, "closed", AUTO)
