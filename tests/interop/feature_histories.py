# SPDX-License-Identifier: Apache-2.0
"""The histories of the scenarios of features.py, judged by `flotilla replay`: as binary, as the JSON of the official
SDK, and tampered with."""
import asyncio
import json
import pathlib
import tempfile

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History
from temporalio.client import WorkflowHistory

# What another code would have issued instead: event type -> how its attributes differ.
OTHER = {
    "ACTIVITY_TASK_SCHEDULED": lambda a: setattr(a.activity_type, "name", "other"),
    "TIMER_STARTED": lambda a: setattr(a, "timer_id", "77"),
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED": lambda a: setattr(a.workflow_type, "name", "Other"),
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": lambda a: setattr(a, "signal_name", "other"),
    "MARKER_RECORDED": lambda a: setattr(a, "marker_name", "LocalActivity"),
}


def attributes(event):
    return getattr(event, event.WhichOneof("attributes"))


def others(events):
    """(workflow id, run id) of the executions that a history leads to: later runs and children."""
    first = events[0].workflow_execution_started_event_attributes
    for event in events:
        a = attributes(event)
        if getattr(a, "new_execution_run_id", ""):
            yield first.workflow_id, a.new_execution_run_id
        elif event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            yield a.workflow_execution.workflow_id, a.workflow_execution.run_id


async def fetch_all(features):
    """{(workflow id, run id): WorkflowHistory} of all that was started, whoever started it."""
    histories, left = {}, [(h.id, h.first_execution_run_id or h.result_run_id) for h in features.started]
    while left:
        key = left.pop()
        if key not in histories:
            handle = features.client.get_workflow_handle(key[0], run_id=key[1])
            histories[key] = await handle.fetch_history()
            left += others(histories[key].events)
    return histories


def tampered(events):
    """The history with its first command changed; None when it has none that could be another."""
    changed = History(events=events)
    for event in changed.events:
        other = OTHER.get(EventType.Name(event.event_type).removeprefix("EVENT_TYPE_"))
        if other:
            other(attributes(event))
            return changed
    return None


async def replay(features, folder, modules):
    """{file name: its verdict}"""
    listed = [word for module in modules for word in ("--module", module)]
    child = await asyncio.create_subprocess_exec(
        features.fleet.bin / "flotilla", "replay", folder, *listed, "-o", "json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await child.communicate()
    assert child.returncode in (0, 1), err.decode()
    return {pathlib.Path(h["history"]).name: h for h in json.loads(out)["histories"]}


async def judge_with(features, histories, modules):
    """Replay these in every form: (how many, how many of them were refused when tampered with)."""
    with tempfile.TemporaryDirectory(prefix="flotilla-histories-") as name:
        good, bad = pathlib.Path(name) / "good", pathlib.Path(name) / "bad"
        good.mkdir()
        bad.mkdir()
        for (workflow_id, run_id), history in histories.items():
            packed = History(events=history.events).SerializeToString(deterministic=True)
            text = history.to_json()
            again = History(events=WorkflowHistory.from_json(workflow_id, text).events)
            stem = f"{workflow_id}-{run_id}"
            (good / f"{stem}.pb").write_bytes(packed)
            (good / f"{stem}.json").write_text(text)
            (good / f"{stem}-again.bin").write_bytes(again.SerializeToString(deterministic=True))
            other = tampered(history.events)
            if other:
                (bad / f"{stem}.pb").write_bytes(other.SerializeToString())
        verdicts, of_bad = await asyncio.gather(replay(features, good, modules), replay(features, bad, modules))
        assert len(verdicts) == 3 * len(histories), len(verdicts)
        wrong = [f"{file}: {v['message']}" for file, v in verdicts.items() if not v["good"]]
        assert not wrong, "these do not replay:\n" + "\n".join(wrong)
        wrong = [v for v in of_bad.values() if v["good"] or not v["nondeterministic"]]
        assert not wrong, f"tampered with and not refused: {wrong}"
        return len(histories), len(of_bad)


async def judge(features):
    """All of them; what was done, as text."""
    histories = await fetch_all(features)
    before = {key: h for key, h in histories.items() if key[0] in features.ended_before}
    rest = {key: h for key, h in histories.items() if key not in before}
    modules = features.all_modules()
    counts = [await judge_with(features, rest, [*modules, features.module("after")])]
    if before:
        counts.append(await judge_with(features, before, [features.module("before")]))
    total, refused = (sum(column) for column in zip(*counts))
    return f"{total} histories replayed as binary, as JSON and back again, {refused} refused when tampered with"
