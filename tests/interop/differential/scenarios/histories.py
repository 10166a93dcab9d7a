# SPDX-License-Identifier: Apache-2.0
"""GetWorkflowExecutionHistory and GetWorkflowExecutionHistoryReverse."""
from frame import command, scenario, seconds

COMPLETE = command("COMPLETE_WORKFLOW_EXECUTION")
NO_RUN = "11111111-2222-4333-8444-555555555555"
READ, REVERSE = "GetWorkflowExecutionHistory", "GetWorkflowExecutionHistoryReverse"


def timers(count):
    return [command("START_TIMER", timer_id=str(i), start_to_fire_timeout=seconds(60)) for i in range(count)]


def refused(method):
    async def play(p):
        await p.start()
        for label, fields in {
                "no execution": {"execution": None}, "no workflow id": {"execution": {"run_id": NO_RUN}},
                "a run id that is none": {"execution": p.execution(run_id="run")},
                "another run": {"execution": p.execution(run_id=NO_RUN)},
                "an unknown workflow": {"execution": {"workflow_id": "none-" + p.ending}},
                "a workflow id of 1001 bytes": {"execution": {"workflow_id": "w" * 1001}},
                "a page token that is none": {"next_page_token": b"garbage"},
                "a negative page size": {"maximum_page_size": -1},
                "an unknown namespace": {"namespace": "no-such-namespace"}}.items():
            await p.call(method, label, **{"execution": p.execution(), **fields})
        await p.terminate()
    play.__name__ = f"refused_{method}"
    play.__doc__ = "One thing is wrong with each request."
    scenario(play)


refused(READ)
refused(REVERSE)


async def pages(p, method, size, **fields):
    """All pages of a history, as lists of event ids."""
    found, token = [], b""
    while True:
        page = await p.ask(method, execution=p.execution(), maximum_page_size=size, next_page_token=token, **fields)
        if page.history.events:  # the real server may end with a page that has none
            found.append([event.event_id for event in page.history.events])
        token = page.next_page_token
        if not token or len(found) > 50:
            return found


@scenario
async def history_pages(p):
    """Of every size, forward and back."""
    await p.start()
    await p.complete(await p.poll(), *timers(5))
    await p.signal("a")
    await p.complete(await p.poll(), *timers(0), command("RECORD_MARKER", marker_name="m"))
    for method in (READ, REVERSE):
        for size in (1, 2, 3, 4, 100):
            p.note(f"{method} by {size}", *await pages(p, method, size))
    await p.signal("b")
    await p.complete(await p.poll(), COMPLETE)
    for method in (READ, REVERSE):
        p.note(f"{method} when closed", *await pages(p, method, 3))
    p.note("close event only", *await pages(p, READ, 3, history_event_filter_type=2))


@scenario(differs={"with another workflow id": "a token is of the run that it was given for",
                   "when terminated meanwhile": "a page has the events that there are, not those that there were"})
async def history_page_tokens(p):
    """A token belongs to a run and a call."""
    run = await p.start()
    await p.complete(await p.poll(), *timers(3))
    page = await p.call(READ, execution=p.execution(), maximum_page_size=1)
    await p.call(READ, "with its run id", execution=p.execution(run_id=run.run_id), maximum_page_size=1,
                 next_page_token=page.next_page_token)
    await p.call(READ, "with another run id", execution=p.execution(run_id=NO_RUN), next_page_token=page.next_page_token)
    await p.call(READ, "with another workflow id", execution={"workflow_id": "other"}, next_page_token=page.next_page_token)
    await p.call(READ, "in another namespace", execution=p.execution(), next_page_token=page.next_page_token,
                 namespace="no-such-namespace")
    back = await p.call(REVERSE, execution=p.execution(), maximum_page_size=1)
    await p.call(REVERSE, "reverse with another run id", execution=p.execution(run_id=NO_RUN),
                 next_page_token=back.next_page_token)
    await p.terminate()
    await p.call(READ, "when terminated meanwhile", execution=p.execution(), next_page_token=page.next_page_token)


@scenario
async def history_long_poll(p):
    """New events, then the end."""
    await p.start()
    page = await p.history(wait_new_event=True, label="what there is")
    waiting = p.begin(READ, "the next", execution=p.execution(), wait_new_event=True, next_page_token=page.next_page_token)
    await p.complete(await p.poll(), *timers(1))
    page = await waiting
    for _ in range(3):
        if [e for e in page.history.events if e.event_type == 17]:
            break
        page = await p.ask(READ, execution=p.execution(), wait_new_event=True, next_page_token=page.next_page_token)
    waiting = p.begin(READ, "the end", execution=p.execution(), wait_new_event=True, next_page_token=page.next_page_token)
    await p.terminate()
    await waiting
    await p.history(wait_new_event=True, label="all when closed")


@scenario
async def history_close_event(p):
    """Asked for before, while and after the run ends."""
    run = await p.start()
    await p.history(label="without waiting", history_event_filter_type=2)
    waiting = p.begin(READ, "waiting", execution=p.execution(), wait_new_event=True, history_event_filter_type=2)
    await p.complete(await p.poll(), COMPLETE)
    await waiting
    await p.history(label="afterwards", history_event_filter_type=2)
    await p.history(label="afterwards, waiting", history_event_filter_type=2, wait_new_event=True, run_id=run.run_id)
    await p.history(label="skipping the archive", history_event_filter_type=2, skip_archival=True)


@scenario
async def history_of_continued_runs(p):
    """Without a run id it is the last run's; the first one's close event names the next."""
    first = await p.start()
    await p.complete(await p.poll(), command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T2"},
                                             task_queue={"name": p.queue}, workflow_run_timeout=seconds(100)))
    await p.history()
    await p.history(run_id=first.run_id, label="first", history_event_filter_type=2, wait_new_event=True)
    await p.call(REVERSE, execution=p.execution(run_id=first.run_id))
    await p.terminate()
