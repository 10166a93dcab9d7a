# SPDX-License-Identifier: Apache-2.0
"""Workflow tasks: sticky queues and what follows without their worker, attempts, timeouts, buffered events."""
from frame import command, payload, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"r"'))


def timer(timer_id="t", value=60.0):
    return command("START_TIMER", timer_id=timer_id, start_to_fire_timeout=seconds(value))


@scenario
async def task_sticky(p):
    """Only the new events, on the worker's own queue."""
    await p.start()
    await p.complete(await p.poll(), timer(), sticky=True)
    waiting = p.begin_poll(sticky=True)
    await p.until_polled()
    await p.signal()
    await p.complete(await waiting, timer("u"), sticky=True)
    await p.describe()
    await p.call("ResetStickyTaskQueue", execution=p.execution())
    await p.signal("b")
    await p.complete(await p.poll("after the reset"), COMPLETE)
    await p.history()


@scenario
async def task_sticky_worker_is_gone(p):
    """Nobody polls the sticky queue: after its timeout the task goes to the normal one."""
    await p.start()
    await p.complete(await p.poll(), timer(), sticky_attributes={
        "worker_task_queue": {"name": p.sticky, "kind": 2, "normal_name": p.queue}, "schedule_to_start_timeout": seconds(1)})
    await p.signal()
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def task_sticky_worker_shut_down(p):
    """ShutdownWorker sends what waits back at once."""
    await p.start()
    await p.complete(await p.poll(), timer(), sticky=True)
    polling = p.begin_poll("poll of the worker that ends", sticky=True, timeout=4)
    await p.until_polled()
    await p.call("ShutdownWorker", sticky_task_queue=p.sticky)
    await p.signal()
    await polling
    await p.terminate()


@scenario
async def task_fails_again_and_again(p):
    """One failure is in the history, the attempts count on."""
    await p.start()
    for number in range(4):
        await p.fail(await p.poll(), failure={"message": str(number)})
    await p.history()
    await p.complete(await p.poll(), COMPLETE)
    await p.history(label="when completed")


@scenario
async def task_fails_for_every_cause(p):
    """The causes that workers send, in the event."""
    for cause in (0, 1, 14, 21, 24, 31, 36, 99):
        await p.start(f"{p.id}-{cause}", label=f"start {cause}")
        await p.fail(await p.poll(f"poll {cause}"), label=f"fail {cause}", cause=cause, failure=None if cause == 14 else {
            "message": "x", "stack_trace": "line", "application_failure_info": {"type": "T", "details": payloads("1")}})
        await p.history(f"{p.id}-{cause}", label=f"history {cause}")
        await p.terminate(f"{p.id}-{cause}", label=f"terminate {cause}")


@scenario
async def task_times_out(p):
    """Once and twice, then a signal comes."""
    await p.start(workflow_task_timeout=seconds(1))
    await p.poll()
    await p.poll("second attempt")
    third = await p.poll("third attempt")
    await p.signal()
    await p.complete(third, timer(), label="third")
    await p.complete(await p.poll(), COMPLETE)
    await p.history()


@scenario
async def task_signals_between_attempts(p):
    """The attempt starts anew when there is something new."""
    await p.start()
    await p.fail(await p.poll())
    await p.fail(await p.poll())
    await p.signal("a")
    third = await p.poll("after the signal")
    await p.signal("b")
    await p.fail(third)
    await p.complete(await p.poll("after the failure"), COMPLETE)
    await p.history()


@scenario
async def task_forced_and_returned(p):
    """The next task comes in the answer, or in the queue."""
    await p.start()
    answer = await p.complete(await p.poll(), force_create_new_workflow_task=True)
    answer = await p.complete(await p.poll(), force_create_new_workflow_task=True, return_new_workflow_task=True, sticky=True)
    task = answer.workflow_task
    waiting = p.begin_poll(sticky=True)
    await p.until_polled()
    await p.complete(task, timer("t", 0.1), return_new_workflow_task=True, sticky=True)
    await p.complete(await waiting, COMPLETE)
    await p.history()


@scenario
async def task_with_metadata(p):
    """What the SDK says of itself and of the task stands in the event."""
    await p.start()
    await p.complete(await p.poll(), timer(), sdk_metadata={"core_used_flags": [1, 2], "lang_used_flags": [3], "sdk_name": "s",
                                                           "sdk_version": "1.2"},
                     metering_metadata={"nonfirst_local_activity_execution_attempts": 4})
    await p.history()
    await p.describe()
    await p.terminate()


@scenario(differs={"DescribeWorkflowExecution": "a build is told of in reset points and search attributes only"})
async def task_capabilities_and_build(p):
    """A worker that says its build id, without versioning."""
    await p.start()
    task = await p.call("PollWorkflowTaskQueue", task_queue={"name": p.queue},
                        worker_version_capabilities={"build_id": "b1", "use_versioning": False})
    await p.complete(task, timer(), worker_version_stamp={"build_id": "b1"})
    await p.history()
    await p.describe()
    await p.terminate()


@scenario(differs={"DescribeWorkflowExecution": "checksums are only reset points here"})
async def task_with_a_binary_checksum(p):
    """What came before build ids."""
    await p.start()
    await p.complete(await p.poll(), timer(), binary_checksum="sum")
    await p.history()
    await p.describe()
    await p.terminate()


@scenario
async def buffered_events_in_order(p):
    """Signals, an activity's end and a cancel request while a task is open."""
    await p.start()
    await p.complete(await p.poll(), timer("t"), command(
        "SCHEDULE_ACTIVITY_TASK", activity_id="a", activity_type={"name": "A"}, task_queue={"name": p.queue},
        start_to_close_timeout=seconds(30)))
    act = await p.poll_activity()
    await p.signal("first")
    task = await p.poll()
    await p.call("RespondActivityTaskCompleted", task_token=act.task_token, result=payloads("1"))
    await p.signal("second")
    await p.call("RequestCancelWorkflowExecution", workflow_execution=p.execution(), reason="why")
    await p.describe()
    await p.complete(task, COMPLETE, label="unhandled")
    await p.history()
    await p.terminate()


@scenario
async def buffered_timer_is_canceled(p):
    """It fired while the task was open; the task cancels it."""
    await p.start()
    await p.complete(await p.poll(), timer("t", 0.3))
    await p.signal()
    task = await p.poll()

    async def fired():
        from frame import Refused
        try:
            answer = await p.ask("DescribeWorkflowExecution", execution=p.execution())
        except Refused:
            return None
        return answer.workflow_execution_info.state_transition_count >= 5
    await p.until(fired, "the timer")
    await p.complete(task, command("CANCEL_TIMER", timer_id="t"), COMPLETE)
    await p.history()


@scenario
async def workflow_retries(p):
    """Runs that fail, as the retry policy says; each knows of the last."""
    policy = {"initial_interval": seconds(0.2), "backoff_coefficient": 1, "maximum_attempts": 3,
              "non_retryable_error_types": ["Never"]}
    run = await p.start(retry_policy=policy, input=payloads("1"), memo={"fields": {"m": payload("2")}})
    await p.complete(await p.poll(), command("FAIL_WORKFLOW_EXECUTION", failure={
        "message": "x", "application_failure_info": {"type": "Bad"}}))
    await p.history(run_id=run.run_id, label="first")
    await p.complete(await p.poll(), command("FAIL_WORKFLOW_EXECUTION", failure={
        "message": "y", "application_failure_info": {"type": "Never"}}))
    await p.history(label="second")
    await p.describe()


@scenario
async def workflow_retries_after_failures_of_each_kind(p):
    """What is not retried."""
    for label, failure in {"not retryable": {"application_failure_info": {"non_retryable": True}},
                           "canceled": {"canceled_failure_info": {}}, "terminated": {"terminated_failure_info": {}},
                           "a timeout": {"timeout_failure_info": {"timeout_type": 1}},
                           "a server's": {"server_failure_info": {"non_retryable": True}},
                           "a message": {"message": "x"}}.items():
        name = f"{p.id}-{label}"
        run = await p.start(name, label=f"start {label}", retry_policy={"initial_interval": seconds(50)})
        await p.complete(await p.poll(f"poll {label}"), command("FAIL_WORKFLOW_EXECUTION", failure=failure),
                         label=f"done {label}")
        await p.history(name, run.run_id, f"history {label}")
        await p.terminate(name, label=f"terminate {label}")


@scenario
async def workflow_timeouts(p):
    """Of the run, which is retried, and of the execution, which is not."""
    run = await p.start(workflow_run_timeout=seconds(1), retry_policy={"initial_interval": seconds(50)})
    await p.until_event("WORKFLOW_EXECUTION_TIMED_OUT", run_id=run.run_id)
    await p.history(run_id=run.run_id)
    await p.history(label="the next")
    await p.terminate()
    await p.start(workflow_execution_timeout=seconds(1), retry_policy={"initial_interval": seconds(50)}, label="execution")
    await p.until_event("WORKFLOW_EXECUTION_TIMED_OUT")
    await p.history(label="execution")


@scenario
async def continue_as_new_with_everything(p):
    """Each attribute of the command, and what is inherited without it."""
    run = await p.start(input=payloads("1"), memo={"fields": {"m": payload("2")}}, workflow_run_timeout=seconds(100),
                        workflow_task_timeout=seconds(20), header={"fields": {"h": payload("3")}},
                        retry_policy={"maximum_attempts": 3}, workflow_execution_timeout=seconds(200))
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION"))
    await p.history(run_id=run.run_id, label="first")
    task = await p.poll()
    await p.complete(task, command(
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T2"}, task_queue={"name": p.queue + "-2"},
        input=payloads("4"), workflow_run_timeout=seconds(50), workflow_task_timeout=seconds(15),
        backoff_start_interval=seconds(0.2), retry_policy={"maximum_attempts": 5}, memo={"fields": {"n": payload("5")}},
        header={"fields": {"i": payload("6")}}, last_completion_result=payloads("7"), failure={"message": "before"},
        search_attributes={"indexed_fields": {"TemporalChangeVersion": payload('["v"]')}}))
    await p.history(run_id=task.workflow_execution.run_id, label="second")
    await p.complete(await p.poll(queue=p.queue + "-2"), COMPLETE)
    await p.history(label="third")
    await p.describe()


@scenario
async def continue_as_new_with_a_signal_pending(p):
    """It is refused while an event is buffered, and done in the next task."""
    await p.start()
    task = await p.poll()
    await p.signal()
    again = command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"}, task_queue={"name": p.queue})
    await p.complete(task, again, label="unhandled")
    await p.complete(await p.poll(), again)
    await p.complete(await p.poll(), COMPLETE)
    await p.history()
