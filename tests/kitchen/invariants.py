# SPDX-License-Identifier: Apache-2.0
"""What holds for every history, whatever the workflow did: broken(events) lists what does not."""
import datetime
import functools
import re

TASK = "WORKFLOW_TASK_"
CLOSES = {f"WORKFLOW_EXECUTION_{x}" for x in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED",
                                              "CONTINUED_AS_NEW")}
ACTIVITY_ENDS = {f"ACTIVITY_TASK_{x}" for x in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED")}
CHILD_ENDS = {f"CHILD_WORKFLOW_EXECUTION_{x}" for x in ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED")}
CHILD = "CHILD_WORKFLOW_EXECUTION_STARTED"
CHILD_INITIATED = "START_CHILD_WORKFLOW_EXECUTION_INITIATED"
CHILD_REFUSED = "START_CHILD_WORKFLOW_EXECUTION_FAILED"
EXTERNAL = {
    "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED": "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED": "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED": "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
}
UPDATE_ACCEPTED, UPDATE_COMPLETED = "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED"
# Written by the answer to a workflow task, directly behind its completion.
COMMANDS = {"ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_CANCEL_REQUESTED", "TIMER_STARTED", "TIMER_CANCELED", "MARKER_RECORDED",
            CHILD_INITIATED, *EXTERNAL.values(), "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", "WORKFLOW_PROPERTIES_MODIFIED",
            "WORKFLOW_EXECUTION_COMPLETED", "WORKFLOW_EXECUTION_FAILED", "WORKFLOW_EXECUTION_CANCELED",
            "WORKFLOW_EXECUTION_CONTINUED_AS_NEW", UPDATE_ACCEPTED, UPDATE_COMPLETED}
# Why a workflow task may have failed: new events came while it was at work.
FINE_FAILURES = {"WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND"}
FORCED = "WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND"  # or the run was ended while it was
# Events that are written at once differ by a nanosecond each, and the timer counts from the first.
STEP_NS = 1000
TIME = re.compile(r"(.*?)(?:\.(\d+))?Z$")


def type_of(event):
    return event["eventType"].removeprefix("EVENT_TYPE_")


def attributes(event):
    return next((value for key, value in event.items() if key.endswith("EventAttributes")), {})


@functools.lru_cache(maxsize=4096)
def time_ns(text):
    whole, fraction = TIME.match(text).groups()
    seconds = datetime.datetime.fromisoformat(whole + "+00:00").timestamp()
    return int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))


def seconds_ns(text):
    return round(float(text.removesuffix("s")) * 10**9)


def target(kind, field):
    """What type of event a reference of this name points to, in an event of this type."""
    if field == "workflowTaskCompletedEventId":
        return TASK + "COMPLETED"
    if field == "scheduledEventId":
        return TASK + "SCHEDULED" if kind.startswith(TASK) else "ACTIVITY_TASK_SCHEDULED"
    if field == "startedEventId":
        if kind.startswith(TASK):
            return TASK + "STARTED"
        if kind.startswith("TIMER_"):
            return "TIMER_STARTED"
        return CHILD if kind.startswith("CHILD_") else "ACTIVITY_TASK_STARTED"
    if field == "initiatedEventId":
        return EXTERNAL.get(kind, CHILD_INITIATED)
    return {"acceptedEventId": UPDATE_ACCEPTED, "latestCancelRequestedEventId": "ACTIVITY_TASK_CANCEL_REQUESTED"}.get(field)


def ends_of(kind, a):
    """(entity, stage) that an event brings about, at most once each."""
    if kind in ACTIVITY_ENDS:
        yield "activity", a.get("scheduledEventId"), "end"
    elif kind == "ACTIVITY_TASK_STARTED":
        yield "activity", a.get("scheduledEventId"), "start"
    elif kind in ("TIMER_FIRED", "TIMER_CANCELED"):
        yield "timer", a.get("startedEventId"), "end"
    elif kind in CHILD_ENDS or kind == CHILD_REFUSED:
        yield "child", a.get("initiatedEventId"), "end"
    elif kind == CHILD:
        yield "child", a.get("initiatedEventId"), "start"
    elif kind in EXTERNAL:
        yield "external", a.get("initiatedEventId"), "end"
    elif kind == UPDATE_COMPLETED:
        yield "update", a.get("acceptedEventId"), "end"
    elif kind == TASK + "STARTED":
        yield "task", a.get("scheduledEventId"), "start"
    elif kind in (TASK + "COMPLETED", TASK + "FAILED", TASK + "TIMED_OUT"):
        yield "task", a.get("scheduledEventId"), "end"


def references(event, kind, kinds, problems):
    at = int(event["eventId"])
    for field, value in attributes(event).items():
        wanted = target(kind, field) if at > 1 else None
        if not wanted or int(value) == 0:
            continue
        number = int(value)
        if not 0 < number < at or kinds[number - 1] != wanted:
            found = kinds[number - 1] if 0 < number <= len(kinds) else "nothing"
            problems.append(f"event {at} {kind}: {field} {number} is {found}, not {wanted}")


def times(event, kind, events, kinds, problems):
    """Tasks and what they bring about stand in the order of time. What came from outside while a task was at work, and
    the start of an activity, keep their own time and stand where they became visible: after what they refer to."""
    a, at = attributes(event), event["eventId"]
    if kind.startswith(TASK) or kind in COMMANDS:
        earlier = next((e for e, k in zip(reversed(events[:int(at) - 1]), reversed(kinds[:int(at) - 1]))
                        if k.startswith(TASK) or k in COMMANDS), events[0])
    else:
        earlier = max((events[int(v) - 1] for f, v in a.items() if int(at) > 1 and target(kind, f) and 0 < int(v) < int(at)),
                      key=lambda e: int(e["eventId"]), default=events[0])
    if time_ns(event["eventTime"]) < time_ns(earlier["eventTime"]):
        problems.append(f"event {at} {kind}: its time is before that of event {earlier['eventId']}")
    if kind == "TIMER_FIRED":
        start = events[int(a["startedEventId"]) - 1]
        due = time_ns(start["eventTime"]) + seconds_ns(attributes(start).get("startToFireTimeout", "0s"))
        if time_ns(event["eventTime"]) < due - STEP_NS:
            problems.append(f"event {at}: the timer fired {(due - time_ns(event['eventTime'])) / 1e6} ms too early")


def broken(events, closed=True):
    """A list of sentences, empty when all is well. closed: the run has ended."""
    problems, kinds, seen = [], [type_of(e) for e in events], set()
    for i, (event, kind) in enumerate(zip(events, kinds)):
        at, a = int(event["eventId"]), attributes(event)
        if at != i + 1:
            problems.append(f"event id {at} stands in place {i + 1}")
            return problems
        references(event, kind, kinds, problems)
        for end in ends_of(kind, a):
            if end in seen:
                problems.append(f"event {at} {kind}: {end[0]} of event {end[1]} has had its {end[2]} before")
            seen.add(end)
        times(event, kind, events, kinds, problems)
        if i and kinds[i - 1] == TASK + "STARTED" and not (kind.startswith(TASK) or kind in CLOSES - COMMANDS):
            problems.append(f"event {at} {kind} stands between a task's start and its end")
        if kind in COMMANDS and not (kinds[i - 1] in COMMANDS or kinds[i - 1] == TASK + "COMPLETED"):
            problems.append(f"event {at} {kind}: no command's event is before it, and no completed task")
        killed = a.get("cause") == FORCED and kinds[-1] in ("WORKFLOW_EXECUTION_TERMINATED", "WORKFLOW_EXECUTION_TIMED_OUT") \
            and not any(later.startswith(TASK) for later in kinds[i + 1:])
        if kind == TASK + "FAILED" and a.get("cause") not in FINE_FAILURES and not killed:
            text = a.get("failure", {}).get("message", "")
            problems.append(f"event {at}: a workflow task failed: {a.get('cause')}: {text}")
    if kinds[0] != "WORKFLOW_EXECUTION_STARTED":
        problems.append(f"the first event is {kinds[0]}")
    closes = [i for i, kind in enumerate(kinds) if kind in CLOSES]
    if closed and closes != [len(kinds) - 1]:
        problems.append(f"{len(closes)} events close the run, the last event is {kinds[-1]}")
    return problems
