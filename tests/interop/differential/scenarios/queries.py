# SPDX-License-Identifier: Apache-2.0
"""QueryWorkflow and RespondQueryTaskCompleted."""
import asyncio

from frame import Refused, command, payloads, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
TIMER = command("START_TIMER", timer_id="1", start_to_fire_timeout=seconds(60))
NO_RUN = "11111111-2222-4333-8444-555555555555"


def begin_query(p, label=None, **fields):
    return p.begin("QueryWorkflow", label, **{"execution": p.execution(), "query": {"query_type": "q"}, **fields})


async def respond(p, task, label=None, **fields):
    fields = {"task_token": task.task_token, "completed_type": 1, "query_result": payloads("1"), **fields}
    return await p.call("RespondQueryTaskCompleted", label, **fields)


@scenario
async def query_refused(p):
    """One thing is wrong with each request."""
    await p.start()
    for label, fields in {
            "no execution": {"execution": None}, "no workflow id": {"execution": {}},
            "a run id that is none": {"execution": p.execution(run_id="run")},
            "another run": {"execution": p.execution(run_id=NO_RUN)},
            "an unknown workflow": {"execution": {"workflow_id": "none-" + p.ending}},
            "no query": {"query": None}, "no type": {"query": {}},
            "a type of 1001 bytes": {"query": {"query_type": "q" * 1001}},
            "arguments over the limit": {"query": {"query_type": "q", "query_args": payloads('"' + "x" * 2_200_000 + '"')}},
            "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
        await p.call("QueryWorkflow", label, timeout=2 if "1001" in label or "limit" in label else 10,
                     **{"execution": p.execution(), "query": {"query_type": "q"}, **fields})
    await p.terminate()


@scenario
async def query_reject_conditions(p):
    """Open, failed and completed runs under each condition."""
    for state, close in (("failed", command("FAIL_WORKFLOW_EXECUTION", failure={"message": "no"})),
                         ("completed", COMPLETE)):
        await p.start(label=state)
        await p.complete(await p.poll(), close)
        for condition in (0, 1, 2, 3):
            asked = begin_query(p, f"{state}, condition {condition}", query_reject_condition=condition)
            if condition == 3 and state == "completed" or condition in (0, 1):
                await respond(p, await p.poll())
            await asked
    await p.start(label="open")
    await p.complete(await p.poll(), TIMER)
    asked = begin_query(p, "open, not open", query_reject_condition=2)
    await respond(p, await p.poll())
    await asked
    await p.terminate()


@scenario
async def query_with_everything(p):
    """Arguments and header reach the worker; its answer the caller."""
    await p.start()
    await p.complete(await p.poll(), TIMER)
    asked = begin_query(p, query={"query_type": "q", "query_args": payloads("1", "2"),
                                  "header": {"fields": {"h": payload("3")}}})
    task = await p.poll()
    await respond(p, task, query_result=payloads('"a"', '"b"'))
    await asked
    await respond(p, task, "again")
    await p.terminate()


@scenario(differs={"no completed type": "the caller is told at once; there he waits for another worker"})
async def query_answers_that_fail(p):
    """What a worker says went wrong, in each form."""
    await p.start()
    await p.complete(await p.poll(), TIMER)
    for label, fields in {
            "a message": {"error_message": "went wrong"},
            "a failure": {"failure": {"message": "failed", "application_failure_info": {"type": "T"}}},
            "both": {"error_message": "went wrong", "failure": {"message": "failed"}, "cause": 14},
            "neither": {}}.items():
        asked = begin_query(p, label)
        await respond(p, await p.poll(), completed_type=2, query_result=None, **fields)
        await asked
    asked = begin_query(p, "no completed type")
    task = await p.poll()
    await respond(p, task, "respond without a type", completed_type=0)
    await respond(p, task, "respond after that")
    await asked
    await p.terminate()


@scenario
async def query_answers_refused(p):
    """Tokens of query tasks that are wrong."""
    await p.start()
    task = await p.poll()
    await p.call("RespondQueryTaskCompleted", "no token")
    await p.call("RespondQueryTaskCompleted", "no token at all", task_token=b"garbage")
    await p.call("RespondQueryTaskCompleted", "a workflow task's token", task_token=task.task_token, completed_type=1)
    await p.complete(task, TIMER)
    asked = begin_query(p)
    task = await p.poll()
    await respond(p, task, "another namespace", namespace="no-such-namespace")
    await respond(p, task, "no namespace", namespace="")
    await respond(p, task, "as it should be")
    await asked
    await p.terminate()


@scenario
async def query_with_the_next_task(p):
    """Asked before the first task is answered: it comes with it, and is answered with its completion."""
    for label, result in (("answered", {"result_type": 1, "answer": payloads("1")}),
                          ("failed", {"result_type": 2, "error_message": "no",
                                      "failure": {"message": "no", "application_failure_info": {}}})):
        await p.start(label=f"start {label}")
        asked = begin_query(p, label)
        task = await p.until(lambda: with_query(p), "a task with the query")
        await p.complete(task, COMPLETE, query_results={key: result for key in task.queries}, label=f"completed {label}")
        await asked


async def with_query(p):
    """A task that has the query: one that came too early is failed, and comes again."""
    task = await p.ask("PollWorkflowTaskQueue", task_queue={"name": p.queue})
    if task.queries:
        return task
    await p.ask("RespondWorkflowTaskFailed", task_token=task.task_token, cause=14)
    return None


@scenario(differs={"both": "more than one query may wait for a task: nobody has to ask again"})
async def query_two_at_once(p):
    """Both wait for the first task, which never comes."""
    await p.start()

    async def ask():
        try:
            await p.ask("QueryWorkflow", timeout=3, execution=p.execution(), query={"query_type": "q"})
        except Refused as error:
            return error.code
    p.note("both", *sorted(await asyncio.gather(ask(), ask())))
    await p.terminate()


@scenario
async def query_left_unanswered(p):
    """A completion that answers none of its queries; one of an id that was not asked."""
    await p.start()
    task = await p.poll()
    asked = begin_query(p, timeout=6)
    await p.complete(task, TIMER, query_results={"no-such-id": {"result_type": 1, "answer": payloads("1")}})
    await respond(p, await p.poll())
    await asked
    await p.terminate()


@scenario
async def query_of_a_closed_run_by_run_id(p):
    """The run that the id says, not the open one."""
    first = await p.start(input=payloads("1"))
    await p.complete(await p.poll(), COMPLETE)
    await p.start(label="second", input=payloads("2"))
    await p.complete(await p.poll(), TIMER)
    asked = begin_query(p, execution=p.execution(run_id=first.run_id))
    await respond(p, await p.poll())
    await asked
    await p.terminate()


@scenario
async def query_when_the_task_keeps_failing(p):
    """The run is not ready while its first task was never completed."""
    await p.start()
    for _ in range(3):
        await p.fail(await p.poll())
    await p.call("QueryWorkflow", execution=p.execution(), query={"query_type": "q"}, timeout=5)
    await p.terminate()
