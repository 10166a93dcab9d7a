# SPDX-License-Identifier: Apache-2.0
"""Schedules. Moments are given (scheduled_time of a trigger, backfills of the past), so that workflow ids, which end in
the moment, are the same on both servers."""
from google.protobuf.timestamp_pb2 import Timestamp

from frame import command, payload, payloads, scenario, seconds

SKIP, BUFFER_ONE, BUFFER_ALL, CANCEL, TERMINATE, ALLOW_ALL = range(1, 7)  # ScheduleOverlapPolicy
HOURLY = {"interval": [{"interval": seconds(3600)}]}
COMPLETED, FAILED, TERMINATED = 2, 3, 5  # WorkflowExecutionStatus


def moment(second=0, minute=0, hour=0):
    """A moment of 2026-01-02."""
    result = Timestamp()
    result.FromJsonString(f"2026-01-02T{hour:02}:{minute:02}:{second:02}Z")
    return result


def at(n):
    return f"2026-01-02T00:{n:02}:00Z"


def schedule(p, spec=None, policies=None, state=None, **action):
    workflow = {"workflow_id": p.id, "workflow_type": {"name": "T"}, "task_queue": {"name": p.queue}, **action}
    return {"spec": HOURLY if spec is None else spec, "action": {"start_workflow": workflow},
            "policies": policies or {}, "state": state or {}}


def named(p, name="s"):
    return f"{name}-{p.ending}"


async def create(p, name="s", label=None, patch=None, memo=None, attributes=None, what=None, **parts):
    return await p.call("CreateSchedule", label, schedule_id=named(p, name), request_id=f"create-{name}",
                        schedule=what or schedule(p, **parts), initial_patch=patch, memo=memo,
                        search_attributes=attributes)


async def patch(p, name="s", label=None, request_id="", **fields):
    return await p.call("PatchSchedule", label, schedule_id=named(p, name), patch=fields, request_id=request_id)


async def trigger(p, n, policy=0, name="s"):
    return await patch(p, name, trigger_immediately={"overlap_policy": policy, "scheduled_time": moment(minute=n)})


async def look(p, name="s"):
    return await p.ask("DescribeSchedule", schedule_id=named(p, name))


async def until(p, condition, what, name="s"):
    """Wait for a condition of the description; the description."""
    async def there():
        answer = await look(p, name)
        return answer if condition(answer) else None
    return await p.until(there, what)


def actions(answer):
    return [(a.start_workflow_result.workflow_id, a.start_workflow_status) for a in answer.info.recent_actions]


def note(p, label, answer):
    """What does not depend on the time of day."""
    info, state = answer.info, answer.schedule.state
    p.note(label, *(f"{w} {s}" for w, s in actions(answer)), f"actions {info.action_count}",
           f"skipped {info.overlap_skipped}", f"buffered {info.buffer_size}", f"dropped {info.buffer_dropped}",
           f"missed {info.missed_catchup_window}", f"running {[r.workflow_id for r in info.running_workflows]}",
           f"paused {state.paused} {state.notes!r}", f"left {state.remaining_actions}",
           f"token {int.from_bytes(answer.conflict_token, 'big')}")


async def finish(p, workflow_id, *commands):
    """Complete its first workflow task; what the task says."""
    task = await p.ask("PollWorkflowTaskQueue", task_queue={"name": p.queue, "kind": 1})
    assert task.workflow_execution.workflow_id == workflow_id, task.workflow_execution.workflow_id
    await p.ask("RespondWorkflowTaskCompleted", task_token=task.task_token, commands=list(
        commands or [command("COMPLETE_WORKFLOW_EXECUTION", result=payloads('"done"'))]))


# --- what is refused

@scenario
async def schedule_calls_refused(p):
    """Missing and deleted schedules, and requests that are not whole."""
    for call in ("DescribeSchedule", "UpdateSchedule", "DeleteSchedule", "ListScheduleMatchingTimes"):
        await p.call(call, f"{call} of none", schedule_id="none")
    await p.call("PatchSchedule", schedule_id="none", patch={"pause": "x"})
    await p.call("CreateSchedule", "no request id", schedule_id=named(p))
    await p.call("CreateSchedule", "long id", schedule_id="x" * 1000, request_id="r")
    await p.call("CreateSchedule", "long request id", schedule_id=named(p), request_id="x" * 1001)
    await p.call("CreateSchedule", "other namespace", schedule_id="x", request_id="r", namespace="nowhere")
    await create(p)
    await create(p, label="the same request")
    await p.call("CreateSchedule", "another request", schedule_id=named(p), request_id="other", schedule=schedule(p))
    await patch(p, label="long note", pause="x" * 1001)
    await p.call("ListScheduleMatchingTimes", "no span", schedule_id=named(p))
    await p.call("DeleteSchedule", schedule_id=named(p))
    for call in ("DescribeSchedule", "UpdateSchedule", "DeleteSchedule"):
        await p.call(call, f"{call} of a deleted one", schedule_id=named(p), request_id="again") \
            if call == "UpdateSchedule" else await p.call(call, f"{call} of a deleted one", schedule_id=named(p))
    await patch(p, label="patch of a deleted one", pause="x")
    await p.call("CreateSchedule", "made again", schedule_id=named(p), request_id="later", schedule=schedule(p))
    await p.call("DescribeSchedule", "the new one", schedule_id=named(p))


@scenario
async def schedule_actions_refused(p):
    """Workflows that no schedule may start."""
    for what, fields in {"no type": {"workflow_type": {}}, "no queue": {"task_queue": {}},
                         "long type": {"workflow_type": {"name": "x" * 1001}},
                         "long id": {"workflow_id": "x" * 990}, "cron": {"cron_schedule": "* * * * *"},
                         "reuse": {"workflow_id_reuse_policy": 3},
                         "unknown attribute": {"search_attributes": {"indexed_fields": {"Nope": payload("1")}}},
                         }.items():
        await create(p, "a", what, **fields)
    await create(p, "b", "attributes of the schedule",
                 attributes={"indexed_fields": {"Nope": payload("1")}})


BAD_SPECS = {
    "zone": {"timezone_name": "Mars/Base"}, "zone data": {"timezone_data": b"TZif2"},
    "zone above": {"timezone_name": "../UTC"},
    "calendar": {"calendar": [{"second": "61", "minute": "a", "hour": "1/2/3"}]},
    "too few": {"cron_string": ["1 2 3"]}, "only a zone": {"cron_string": ["CRON_TZ=UTC"]},
    "no interval": {"cron_string": ["@every"]}, "odd unit": {"cron_string": ["@every 5y"]},
    "no unit": {"cron_string": ["@every 1"]}, "days": {"cron_string": ["@every 1dx"]},
    "two zones": {"cron_string": ["TZ=Europe/Berlin 0 0 * * *", "0 0 * * *"]},
    "zone against zone": {"cron_string": ["TZ=Europe/Berlin 0 0 * * *"], "timezone_name": "UTC"},
    "no step": {"cron_string": ["1/ 0 * * *"]}, "odd step": {"cron_string": ["*/x 0 * * *"]},
    "negative": {"cron_string": ["*/-1 0 99999999999999999999 * *"]},
    "large step": {"cron_string": ["*/99999999999999999999 0 9 * *"]},
    "backwards": {"cron_string": ["9-3 0-5-7 * * *"]}, "descriptor": {"cron_string": ["@fortnightly"]},
    "structured": {"structured_calendar": [{"second": [{"start": 70}], "hour": [{"start": 5, "end": 3, "step": -1}],
                                            "year": [{"start": 1}]}]},
    "comment": {"calendar": [{"comment": "x" * 201}]}, "short": {"interval": [{"interval": seconds(0.5)}]},
    "empty interval": {"interval": [{}]}, "phase": {"interval": [{"interval": seconds(5), "phase": seconds(5)}]},
    "negative phase": {"interval": [{"interval": seconds(5), "phase": seconds(-5)}]},
}


@scenario
async def schedule_specs_refused(p):
    """The sentence about each malformed specification, in create and in update."""
    await create(p)
    for what, spec in BAD_SPECS.items():
        await create(p, "bad", what, spec=spec)
        await p.call("UpdateSchedule", f"update: {what}", schedule_id=named(p), schedule={"spec": spec})


# --- specifications

@scenario
async def schedule_spec_canonical(p):
    """What words and cron strings become."""
    for name, spec in {
            "none": {}, "hourly": HOURLY,
            "cron": {"cron_string": ["*/5 2-6 * jan-mar mon,7 # often", "@every 90m/5m", "@weekly"]},
            "seconds": {"cron_string": ["30 1 2 3 4 5 2027"]}, "zone": {"cron_string": ["CRON_TZ=Europe/Berlin 0 9 * * *"]},
            "words": {"calendar": [{"hour": "9-17/2", "day_of_week": "tue-sun", "comment": "office"}],
                      "exclude_calendar": [{"month": "dec", "day_of_month": "24-26"}]},
            "sundays": {"calendar": [{"day_of_week": w} for w in ("7", "0-7", "1-7/2", "3-7/3", "3-7", "su", "THURS")]},
            "ranges": {"structured_calendar": [{"second": [{"start": 3}], "minute": [{"start": 1, "end": 9, "step": 2}]}]},
    }.items():
        await create(p, name, name, spec=spec, state={"paused": True, "notes": "kept still"})
        answer = await look(p, name)
        p.note(f"{name} is", answer.schedule)
        await p.call("ListScheduleMatchingTimes", f"{name} comes", schedule_id=named(p, name),
                     start_time=moment(), end_time=moment(hour=6))
        times = await p.ask("ListScheduleMatchingTimes", schedule_id=named(p, name), start_time=moment(),
                            end_time=moment(hour=20))
        p.note(f"{name} comes at", *(t.ToJsonString() for t in times.start_time[:50]))


# --- actions

@scenario
async def schedule_trigger(p):
    """A triggered workflow: its start event, its result for the next one, and the failure of that for the third."""
    await create(p, memo={"fields": {"k": payload('"v"')}}, retry_policy={"maximum_attempts": 1}, input=payloads("1", '"x"'),
                 workflow_run_timeout=seconds(100), header={"fields": {"h": payload('"v"')}})
    ids = [f"{p.id}-{at(n)}" for n in (1, 2, 3)]
    await trigger(p, 1)
    await finish(p, ids[0])
    await until(p, lambda d: actions(d) == [(ids[0], COMPLETED)], "the end of the first")
    await p.history(ids[0], label="first history")
    await trigger(p, 2)
    await finish(p, ids[1], command("FAIL_WORKFLOW_EXECUTION", failure={"message": "no luck"}))
    await until(p, lambda d: len(actions(d)) == 2 and actions(d)[1][1] == FAILED, "the end of the second")
    await p.history(ids[1], label="second history")
    await trigger(p, 3)
    answer = await until(p, lambda d: len(actions(d)) == 3, "the third")
    note(p, "after three", answer)
    await p.history(ids[2], label="third history")
    p.note("description", answer.schedule)
    await p.terminate(ids[2], label="third over")


async def overlap(p, policy):
    """Three triggers while the first one's workflow runs."""
    ids = [f"{p.id}-{at(n)}" for n in (1, 2, 3)]
    await create(p, policies={"overlap_policy": policy})
    await trigger(p, 1)
    await until(p, lambda d: d.info.action_count == 1, "the first")
    for n in (2, 3):  # one by one: the real server drops a change that comes while it makes another
        await trigger(p, n)
        await until(p, lambda d: d.info.action_count + d.info.overlap_skipped + d.info.buffer_size == n, f"trigger {n}")
    return ids


@scenario
async def schedule_overlap_skip(p):
    """What comes while one runs is skipped."""
    await overlap(p, SKIP)
    note(p, "two are skipped", await until(p, lambda d: d.info.overlap_skipped == 2, "skips"))


@scenario
async def schedule_overlap_buffer_one(p):
    """The first that comes waits, the second is skipped."""
    ids = await overlap(p, BUFFER_ONE)
    note(p, "one waits", await until(p, lambda d: d.info.overlap_skipped == 1, "a skip"))
    await finish(p, ids[0])
    answer = await until(p, lambda d: d.info.action_count == 2, "the second")
    note(p, "it has started", answer)


@scenario
async def schedule_overlap_buffer_all(p):
    """All that come wait for their turn."""
    ids = await overlap(p, BUFFER_ALL)
    note(p, "two wait", await until(p, lambda d: d.info.buffer_size == 2, "the buffer"))
    await finish(p, ids[0])
    note(p, "one waits", await until(p, lambda d: d.info.action_count == 2, "the second"))
    await finish(p, ids[1])
    note(p, "none waits", await until(p, lambda d: d.info.action_count == 3, "the third"))


@scenario
async def schedule_overlap_cancel(p):
    """The one that runs is asked to end; the others wait for that."""
    ids = await overlap(p, CANCEL)
    await p.until_event("WORKFLOW_EXECUTION_CANCEL_REQUESTED", ids[0])
    await finish(p, ids[0], command("CANCEL_WORKFLOW_EXECUTION"))
    await until(p, lambda d: d.info.action_count == 2, "the next")
    note(p, "the next one", await look(p))
    await p.history(ids[0], label="the cancelled one")


@scenario
async def schedule_overlap_terminate(p):
    """The one that runs is terminated at once."""
    ids = [f"{p.id}-{at(n)}" for n in (1, 2)]
    await create(p, policies={"overlap_policy": TERMINATE})
    for n in (1, 2):
        await trigger(p, n)
        await until(p, lambda d: d.info.action_count == n, f"start {n}")
    note(p, "the second runs", await until(p, lambda d: actions(d)[0][1] == TERMINATED, "its end"))
    await p.history(ids[0], label="the terminated one")


@scenario
async def schedule_overlap_allow_all(p):
    """Each starts, whatever runs; they are not counted as running."""
    await overlap(p, ALLOW_ALL)
    note(p, "three run", await until(p, lambda d: d.info.action_count == 3, "three"))


@scenario
async def schedule_backfill(p):
    """A span of the past, its first moment included, all at once."""
    await create(p, spec={"interval": [{"interval": seconds(60)}]}, state={"paused": True})
    await patch(p, backfill_request=[{"start_time": moment(minute=1), "end_time": moment(minute=4), "overlap_policy": ALLOW_ALL}])
    note(p, "four run", await until(p, lambda d: d.info.action_count == 4, "four"))


@scenario
async def schedule_backfill_in_turn(p):
    """A span of the past, one after the other; a long one goes on in steps."""
    await create(p, spec={"interval": [{"interval": seconds(60)}]}, state={"paused": True})
    await patch(p, backfill_request=[{"start_time": moment(minute=1), "end_time": moment(minute=3), "overlap_policy": BUFFER_ALL}])
    for n in (1, 2, 3):
        note(p, f"{n} has started", await until(p, lambda d: d.info.action_count == n and d.info.buffer_size == 3 - n, n))
        await finish(p, f"{p.id}-{at(n)}")
    await patch(p, backfill_request=[{"start_time": moment(minute=10), "end_time": moment(minute=24), "overlap_policy": ALLOW_ALL}])
    answer = await until(p, lambda d: d.info.action_count == 18, "eighteen")
    p.note("the last ones", *(w for w, _ in actions(answer)))


@scenario
async def schedule_initial_patch(p):
    """Trigger and pause as it is made."""
    await create(p, patch={"trigger_immediately": {"scheduled_time": moment(minute=1)}, "pause": "not yet"})
    note(p, "one runs", await until(p, lambda d: d.info.action_count == 1, "one"))


@scenario
async def schedule_request_ids(p):
    """The same change is not made twice."""
    await create(p, policies={"overlap_policy": ALLOW_ALL})
    for n, count in ((1, 1), (1, 1), (2, 2)):
        await patch(p, request_id=f"trigger-{n}", trigger_immediately={"scheduled_time": moment(minute=n)})
        await until(p, lambda d: d.info.action_count == count, f"trigger {n}")
    note(p, "two run", await until(p, lambda d: d.info.action_count == 2, "two"))


@scenario
async def schedule_same_moment_again(p):
    """A moment whose workflow runs cannot be triggered again; when it is over it can."""
    await create(p, policies={"overlap_policy": ALLOW_ALL})
    await trigger(p, 1)
    await until(p, lambda d: d.info.action_count == 1, "one")
    await trigger(p, 1)
    await trigger(p, 2)
    note(p, "two run", await until(p, lambda d: d.info.action_count == 2, "two"))
    await p.terminate(f"{p.id}-{at(1)}")
    await trigger(p, 1)
    note(p, "three ran", await until(p, lambda d: d.info.action_count == 3, "three"))


# --- changes

@scenario
async def schedule_pause(p):
    """Notes, and the token that each change makes."""
    await create(p, state={"notes": "a note"})
    note(p, "new", await look(p))
    await patch(p, pause="stop")
    note(p, "paused", await until(p, lambda d: d.schedule.state.paused, "the pause"))
    await patch(p, unpause="go on")
    note(p, "unpaused", await until(p, lambda d: not d.schedule.state.paused, "its end"))
    await patch(p, pause="both", unpause="at once")
    note(p, "both", await until(p, lambda d: d.schedule.state.notes == "at once", "both"))


@scenario
async def schedule_update(p):
    """An update replaces all but what became of the schedule; with an old token nothing happens."""
    await create(p, memo={"fields": {"k": payload('"v"')}})
    old = (await look(p)).conflict_token
    await p.call("UpdateSchedule", schedule_id=named(p), conflict_token=old, request_id="one",
                 schedule=schedule(p, spec={"cron_string": ["0 0 1 1 *"]}, state={"notes": "updated"},
                                   policies={"catchup_window": seconds(1), "pause_on_failure": True}))
    answer = await until(p, lambda d: d.schedule.state.notes == "updated", "the update")
    p.note("updated", answer.schedule, answer.memo)
    await p.call("UpdateSchedule", "an old token", schedule_id=named(p), conflict_token=old, request_id="two",
                 schedule=schedule(p, state={"notes": "conflict"}))
    await p.call("UpdateSchedule", "half a token", schedule_id=named(p), conflict_token=b"\x00\x01", request_id="three",
                 schedule={"policies": {"overlap_policy": BUFFER_ALL}, "state": {"notes": "empty"}})
    answer = await until(p, lambda d: d.schedule.state.notes == "empty", "the last update")
    note(p, "empty", answer)
    p.note("schedule", answer.schedule)


@scenario
async def schedule_limited(p):
    """So many actions, and no more; triggers do not count."""
    await create(p, spec={"interval": [{"interval": seconds(1)}]}, policies={"overlap_policy": ALLOW_ALL},
                 state={"limited_actions": True, "remaining_actions": 2})
    answer = await until(p, lambda d: d.info.action_count == 2, "two")
    p.note("none left", f"left {answer.schedule.state.remaining_actions}", f"next {len(answer.info.future_action_times)}")
    await trigger(p, 1)
    answer = await until(p, lambda d: d.info.action_count == 3, "the trigger")
    p.note("triggered", actions(answer)[-1][0], f"token {int.from_bytes(answer.conflict_token, 'big')}")


@scenario
async def schedule_pause_on_failure(p):
    """A failed workflow pauses its schedule; the next trigger runs all the same."""
    await create(p, policies={"pause_on_failure": True})
    await trigger(p, 1)
    await finish(p, f"{p.id}-{at(1)}", command("FAIL_WORKFLOW_EXECUTION", failure={"message": "no luck"}))
    await until(p, lambda d: d.schedule.state.paused, "the pause")
    await trigger(p, 2)
    note(p, "paused", await until(p, lambda d: d.info.action_count == 2, "the trigger"))


@scenario
async def schedule_follows_its_chain(p):
    """A workflow that continues as new still runs; the next one waits for the end of its chain."""
    ids = [f"{p.id}-{at(n)}" for n in (1, 2)]
    await create(p, policies={"overlap_policy": BUFFER_ALL})
    await trigger(p, 1)
    await finish(p, ids[0], command("CONTINUE_AS_NEW_WORKFLOW_EXECUTION", workflow_type={"name": "T"},
                                    task_queue={"name": p.queue}))
    await trigger(p, 2)
    note(p, "one waits", await until(p, lambda d: d.info.buffer_size == 1, "the buffer"))
    await finish(p, ids[0])
    note(p, "it has started", await until(p, lambda d: d.info.action_count == 2, "the second"))


# --- lists

@scenario
async def schedule_list(p):
    """What a list shows; what may be asked for."""
    for name, paused in (("a", True), ("b", False)):
        await create(p, name, spec={"cron_string": ["0 0 1 1 * 2099"]}, memo={"fields": {"k": payload('"v"')}},
                     state={"paused": paused, "notes": "a note"})

    async def listed(query=""):
        answer = await p.ask("ListSchedules", query=query)
        return [s for s in answer.schedules if s.schedule_id.endswith(p.ending)]

    async def both():
        found = await listed()
        return found if len(found) == 2 else None
    for found in await p.until(both, "the list"):
        p.note(f"line {found.schedule_id[0]}", found)

    async def told():
        return await listed("TemporalSchedulePaused = true") and await listed("TemporalSchedulePaused = false")
    await p.until(told, "whether they are paused")
    for query in ("TemporalSchedulePaused = true", "TemporalSchedulePaused = false", "TemporalSchedulePaused != true"):
        p.note(query, *sorted(s.schedule_id for s in await listed(query)))
    a = f"a{p.ending}"
    for label, query in (("by id", f"ScheduleId = '{a}'"), ("by ids", f"ScheduleId IN ('{a}', 'x')"),
                         ("other ids", f"ScheduleId != '{a}'"), ("ids that begin so", "ScheduleId STARTS_WITH 'a'"),
                         ("ids after it", f"ScheduleId > '{a}'"), ("has an id", "ScheduleId IS NOT NULL"), ("no text", "ScheduleId = 3")):
        p.note(label, *sorted(s.schedule_id for s in await listed(query)))
    for query in ("ExecutionStatus = 'Running'", "WorkflowId = 'x'", "a b", "StartTime > 3", "Nope = 1", "TemporalSchedulePaused =",
                  "nonsense", "nonsense AND Nope = 1", "Nope = 1 AND nonsense", "NOT ScheduleId = 'x'", "true",
                  "GROUP BY ExecutionStatus", "GROUP BY ScheduleId"):
        await p.call("ListSchedules", f"refused: {query}", query=query)
