# SPDX-License-Identifier: Apache-2.0
"""The official core judges histories, and so does `flotilla replay`: the same activations, the same verdicts.

Both follow a program (tests/integration/modules/follow.c has the C interpreter, Program below the other one), so that
what differs is the runtimes. The histories are those of programs that ran on the engine, and variants of these that
somebody tampered with: cut off at each event, events swapped, ids and types changed.
"""
import asyncio
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.common import RawValue
from temporalio.converter import DataConverter
from temporalio.worker import Replayer
from temporalio.worker._workflow_instance import WorkflowInstance, WorkflowRunner

QUEUE = "follow"
TIMEOUT_S = 20


def rule(on, *actions):
    return {"on": on.split(", ") if on else [], "do": [list(a) for a in actions]}


# name -> (rules, what the client does: (when so many events of a type are there, call, ...))
STORIES = {
    "activity": ([rule("", ("activity", "quick")), rule("activity 1", ("complete",))], []),
    "broken_activity": ([rule("", ("activity", "broken")), rule("activity 1", ("fail",))], []),
    "two_of_each": ([rule("", ("timer", 50), ("activity", "quick"), ("timer", 120), ("activity", "quick")),
                     rule("timer 1, activity 1", ("activity", "quick")),
                     rule("timer 2, activity 2, activity 3", ("complete",))], []),
    "chain": ([rule("", ("activity", "quick"))] +
              [rule(f"activity {i}", ("activity", "quick")) for i in range(1, 6)] +
              [rule("activity 6", ("complete",))], []),
    "race": ([rule("", ("activity", "quick"), ("activity", "quick"), ("activity", "quick"), ("timer", 30)),
              rule("activity 3", ("timer", 10)), rule("activity 1", ("timer", 10)), rule("activity 2", ("timer", 10)),
              rule("timer 1, timer 2, timer 3, timer 4", ("complete",))], []),
    "local": ([rule("", ("local", "quick")), rule("local 1", ("local", "quick")),
               rule("local 2", ("activity", "quick")), rule("activity 1", ("complete",))], []),
    "locals_and_timer": ([rule("", ("timer", 60), ("local", "quick"), ("local", "broken")),
                          rule("local 1, local 2", ("timer", 20)), rule("timer 1", ("local", "quick")),
                          rule("timer 2, local 3", ("complete",))], []),
    "only_local": ([rule("", ("local", "quick")), rule("local 1", ("complete",))], []),
    "cancelled_timer": ([rule("", ("timer", 60000), ("timer", 50)), rule("timer 2", ("cancel_timer", 1), ("timer", 20)),
                         rule("timer 3", ("complete",))], []),
    "never_sent_timer": ([rule("", ("timer", 60000), ("timer", 50), ("cancel_timer", 1)),
                          rule("timer 2", ("complete",))], []),
    "signals": ([rule("", ("activity", "endless")), rule("signal a", ("timer", 20)), rule("signal b", ("timer", 30)),
                 rule("timer 1, timer 2", ("cancel_activity", 1)), rule("activity 1", ("complete",))],
                [("ACTIVITY_TASK_SCHEDULED", "signal", "b"), ("ACTIVITY_TASK_SCHEDULED", "signal", "a")]),
    "signal_at_start": ([rule("", ("timer", 20)), rule("signal first", ("activity", "quick")),
                         rule("timer 1, activity 1", ("complete",))], [("", "signal_with_start", "first")]),
    "cancel": ([rule("", ("activity", "endless"), ("timer", 60000)),
                rule("cancel", ("cancel_activity", 1), ("cancel_timer", 2 - 1)), rule("activity 1", ("cancelled",))],
               [("ACTIVITY_TASK_SCHEDULED", "cancel")]),
    "cancel_and_signal": ([rule("", ("timer", 60000)), rule("cancel", ("timer", 20)),
                           rule("signal x", ("activity", "quick")), rule("timer 2, activity 1", ("complete",))],
                          [("TIMER_STARTED", "signal", "x"), ("TIMER_STARTED", "cancel")]),
    "child": ([rule("", ("child", "{id}-a"), ("timer", 20)), rule("child_started 1", ("activity", "quick")),
               rule("child 1, activity 1, timer 1", ("complete",))], []),
    "children": ([rule("", ("child", "{id}-a"), ("child", "{id}-b", True), ("activity", "quick")),
                  rule("child_started 2, child 1", ("cancel_child", 2)),
                  rule("child 2, activity 1", ("complete",))], []),
    "external_signal": ([rule("", ("child", "{id}-a", True)), rule("child_started 1", ("signal", "{id}-a", "hello")),
                         rule("external 1", ("signal", "{id}-nobody", "hello")),
                         rule("external 2", ("cancel_child", 1)), rule("child 1", ("complete",))], []),
    "patch": ([rule("", ("patch", "first"), ("activity", "quick")),
               rule("activity 1", ("patch", "second"), ("timer", 20)),
               rule("timer 1", ("patch", "first"), ("deprecate", "third"), ("complete",))], []),
    "update": ([rule("", ("timer", 60000)), rule("update", ("activity", "quick")),
                rule("activity 1, signal done", ("complete",))],
               [("TIMER_STARTED", "update", "a"), ("TIMER_STARTED", "update", "b"),
                ("TIMER_STARTED", "signal", "done")]),
    "continue": ([rule("", ("activity", "quick")), rule("activity 1", ("continue",))], []),
}


# ---- the official core ----

class Program(WorkflowInstance):
    """follow.c for the core's activations: the same coroutines, asked in the same order."""

    def __init__(self, details, seen):
        self.info, self.seen = details.info, seen
        self.ready, self.signals, self.cancelled, self.end = set(), set(), False, None
        self.counts = {"timer": 0, "activity": 0, "local": 0, "child": 0, "signal": 0}
        self.updates, self.patches = [], {}
        self.seqs = {}  # the core's number -> "activity 1": activities of both kinds share their numbers
        self.rules, self.ended = [], False

    def activate(self, activation):
        jobs = [job.WhichOneof("variant") for job in activation.jobs]
        done = WorkflowActivationCompletion(run_id=activation.run_id)
        done.successful.SetInParent()
        if jobs != ["remove_from_cache"]:
            self.seen.append([activation.history_length, jobs])
            for job in activation.jobs:
                self.apply(job)
            self.run(done.successful.commands)
        return done

    def apply(self, job):
        if job.HasField("initialize_workflow"):
            start = job.initialize_workflow
            program = DataConverter.default.payload_converter.from_payloads(list(start.arguments))[0]
            self.rules = [dict(r) for r in program["rules"]]
        elif job.HasField("fire_timer"):
            self.ready.add(f"timer {job.fire_timer.seq}")
        elif job.HasField("resolve_activity"):
            self.ready.add(self.seqs[job.resolve_activity.seq])
        elif job.HasField("signal_workflow"):
            self.ready.add(f"signal {job.signal_workflow.signal_name}")
        elif job.HasField("cancel_workflow"):
            self.ready.add("cancel")
        elif job.HasField("resolve_child_workflow_execution_start"):
            self.ready.add(f"child_started {job.resolve_child_workflow_execution_start.seq}")
        elif job.HasField("resolve_child_workflow_execution"):
            self.ready.add(f"child {job.resolve_child_workflow_execution.seq}")
        elif job.HasField("resolve_signal_external_workflow"):
            self.ready.add(f"external {job.resolve_signal_external_workflow.seq}")
        elif job.HasField("do_update"):
            self.updates.append(job.do_update)

    def run(self, commands):
        ran = not self.ended
        for update in self.updates:
            commands.add().update_response.protocol_instance_id = update.protocol_instance_id
            commands[-1].update_response.accepted.SetInParent()
            commands.add().update_response.protocol_instance_id = update.protocol_instance_id
            commands[-1].update_response.completed.CopyFrom(update.input[0])
            self.ready.add("update")
        self.updates = []
        while ran:
            if self.end:
                self.ended = True
                return self.finish(commands.add())
            ran = False
            for r in self.rules:
                if not r.get("fired") and all(what in self.ready for what in r["on"]):
                    r["fired"] = ran = True
                    for action in r["do"]:
                        self.act(commands, *action)

    def finish(self, command):
        if self.end == "complete":
            command.complete_workflow_execution.SetInParent()
        elif self.end == "continue":
            command.continue_as_new_workflow_execution.workflow_type = "Follow"
        elif self.end == "fail":
            command.fail_workflow_execution.failure.message = "told to fail"
        else:
            command.cancel_workflow_execution.SetInParent()

    def act(self, commands, verb, argument=None, more=None):
        if verb == "timer":
            self.counts["timer"] += 1
            command = commands.add().start_timer
            command.seq = self.counts["timer"]
            command.start_to_fire_timeout.FromMilliseconds(argument)
        elif verb in ("activity", "local"):
            self.counts[verb] += 1
            seq = len(self.seqs) + 1
            self.seqs[seq] = f"{verb} {self.counts[verb]}"
            command = commands.add()
            command = command.schedule_activity if verb == "activity" else command.schedule_local_activity
            command.seq, command.activity_id, command.activity_type = seq, str(seq), argument
            command.start_to_close_timeout.FromSeconds(10)
            command.cancellation_type = 1  # wait
            command.retry_policy.maximum_attempts = 1
        elif verb == "cancel_timer":
            if f"timer {argument}" not in self.ready:
                self.ready.add(f"timer {argument}")
                commands.add().cancel_timer.seq = argument
        elif verb == "cancel_activity":
            seq = next(s for s, name in self.seqs.items() if name == f"activity {argument}")
            if f"activity {argument}" not in self.ready:
                commands.add().request_cancel_activity.seq = seq
        elif verb == "child":
            self.counts["child"] += 1
            command = commands.add().start_child_workflow_execution
            command.seq, command.workflow_id, command.workflow_type = self.counts["child"], argument, "Follow"
            command.cancellation_type = 2  # wait
        elif verb == "cancel_child":
            commands.add().cancel_child_workflow_execution.child_workflow_seq = argument
        elif verb == "signal":
            self.counts["signal"] += 1
            command = commands.add().signal_external_workflow_execution
            command.seq, command.signal_name = self.counts["signal"], more
            command.workflow_execution.workflow_id = argument
        elif verb in ("patch", "deprecate"):
            if argument not in self.patches:
                self.patches[argument] = True
                command = commands.add().set_patch_marker
                command.patch_id, command.deprecated = argument, verb == "deprecate"
        elif not self.end:
            self.end = verb

    def get_info(self):
        return self.info

    def get_serialization_context(self, *_, **__):
        return None

    get_external_store_context = get_serialization_context


class Runner(WorkflowRunner):
    def __init__(self):
        self.seen = []

    def prepare_workflow(self, defn):
        pass

    def create_instance(self, details):
        return Program(details, self.seen)

    def set_worker_level_failure_exception_types(self, types):
        pass


@workflow.defn(dynamic=True)
class Any:
    @workflow.run
    async def run(self, args: Sequence[RawValue]):
        pass


async def ask_core(history):
    """(its activations, why not or None)"""
    runner = Runner()
    replayer = Replayer(workflows=[Any], workflow_runner=runner)
    async with asyncio.timeout(TIMEOUT_S):
        result = await replayer.replay_workflow(WorkflowHistory("oracle", list(history.events)),
                                                raise_on_replay_failure=False)
    return runner.seen, result.replay_failure


# ---- ours ----

def ask_ours(flotilla, module, histories):
    """name -> (activations, why not or None)"""
    with tempfile.TemporaryDirectory(prefix="flotilla-oracle-") as folder:
        for name, history in histories.items():
            (pathlib.Path(folder) / f"{name}.pb").write_bytes(history.SerializeToString())
        done = subprocess.run([flotilla, "replay", folder, "-m", module, "--step", "-o", "json"], capture_output=True,
                              text=True, timeout=300)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)
    return {pathlib.Path(entry["history"]).stem:
            ([[a["history_length"], [job["job"] for job in a["jobs"]]] for a in entry["activations"] if a["jobs"]],
             None if entry["good"] else entry["message"])
            for entry in json.loads(done.stdout)["histories"]}


# ---- histories ----

async def record(client, name):
    rules, calls = STORIES[name]
    start = {"id": f"{name}-{uuid.uuid4().hex[:8]}", "task_queue": QUEUE}
    if calls and calls[0][1] == "signal_with_start":
        start["start_signal"] = calls[0][2]
        calls = calls[1:]
    rules = json.loads(json.dumps(rules).replace("{id}", start["id"]))
    handle = await client.start_workflow("Follow", {"rules": rules}, **start)
    for event, call, *args in calls:
        await until_event(handle, event)
        await {"signal": handle.signal, "cancel": handle.cancel,
               "update": lambda value: handle.execute_update("update", value)}[call](*args)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await handle.result(follow_runs=False)
    except Exception as failure:  # a program may be told to fail
        if isinstance(failure, TimeoutError):
            raise
    first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    history = History(events=(await first.fetch_history()).events)
    for event in history.events:  # the core checks ids and types where a worker has promised to, as its own do
        if event.HasField("workflow_task_completed_event_attributes"):
            flags = event.workflow_task_completed_event_attributes.sdk_metadata.core_used_flags
            flags[:] = sorted({1, 3, *flags})
            break
    return history


async def until_event(handle, name):
    async with asyncio.timeout(TIMEOUT_S):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if EventType.Name(event.event_type) == "EVENT_TYPE_" + name:
                return


COMMANDS = {"ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED", "TIMER_CANCELED", "MARKER_RECORDED",
            "ACTIVITY_TASK_CANCEL_REQUESTED", "WORKFLOW_EXECUTION_COMPLETED", "WORKFLOW_EXECUTION_FAILED",
            "WORKFLOW_EXECUTION_CANCELED", "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
            "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
            "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED", "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
            "WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED"}


def kind(event):
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def variants(name, history):
    """Histories that nobody's code gives, and shorter ones that it does: name -> history."""
    out = {}

    def variant(label):
        out[f"{name}.{label}"] = copied = copy.deepcopy(history)
        return copied.events

    for i, event in enumerate(history.events):
        before = kind(history.events[i - 1])
        # Where a server can end a history: at a task to do, and behind all that a task's answer left.
        if i and (before == "WORKFLOW_TASK_STARTED" or before in COMMANDS and kind(event) not in COMMANDS):
            del variant(f"cut_{i:02}")[i:]
        if kind(event) not in COMMANDS:
            continue
        if event.HasField("activity_task_scheduled_event_attributes"):
            variant(f"type_{i:02}")[i].activity_task_scheduled_event_attributes.activity_type.name = "other"
            variant(f"id_{i:02}")[i].activity_task_scheduled_event_attributes.activity_id = "other"
        if event.HasField("timer_started_event_attributes"):
            # The core looks at a timer's id when it fires, ours when it starts: one that never fires is not compared.
            name_of_timer = event.timer_started_event_attributes.timer_id
            if any(e.timer_fired_event_attributes.timer_id == name_of_timer for e in history.events):
                rename_timer(variant(f"id_{i:02}"), name_of_timer)
        if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            changed = variant(f"type_{i:02}")[i].start_child_workflow_execution_initiated_event_attributes
            changed.workflow_type.name = "other"
            changed = variant(f"id_{i:02}")[i].start_child_workflow_execution_initiated_event_attributes
            changed.workflow_id = "other"
        if event.HasField("marker_recorded_event_attributes"):
            variant(f"name_{i:02}")[i].marker_recorded_event_attributes.marker_name = "Version"
        following = history.events[i + 1] if i + 1 < len(history.events) else None
        # The core does not look at what belongs to a deprecated patch: its marker and attributes are not swapped.
        pair = {kind(event), kind(following)} if following is not None else set()
        if len(pair) == 2 and pair <= COMMANDS and pair != {"MARKER_RECORDED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"}:
            events = variant(f"swap_{i:02}")
            first, second = copy.deepcopy(events[i]), copy.deepcopy(events[i + 1])
            events[i].CopyFrom(second)
            events[i + 1].CopyFrom(first)
            events[i].event_id, events[i + 1].event_id = first.event_id, second.event_id
    return out


def rename_timer(events, name):
    for event in events:
        for field in ("timer_started", "timer_fired", "timer_canceled"):
            attributes = getattr(event, field + "_event_attributes")
            if event.HasField(field + "_event_attributes") and attributes.timer_id == name:
                attributes.timer_id = "other"


async def compare(flotilla, module, histories):
    """The names of those that are judged differently, with both answers."""
    ours = await asyncio.to_thread(ask_ours, flotilla, module, histories)
    different = {}
    for name, history in histories.items():
        core, mine = await ask_core(history), ours[name]
        same = (core[1] is None) == (mine[1] is None)
        if core[1] is None and mine[1] is None:
            same = core[0] == mine[0]
        if not same:
            different[name] = {"core": (core[0], str(core[1])), "ours": mine}
    return different


async def judge(fleet, args, names=STORIES):
    """The check: record, vary, compare. Returns how many were judged."""
    built = pathlib.Path(args.bin).resolve()
    module = str(built.parent / "tests/modules/follow.so")
    for role in ("workflow-worker", "io-activity-worker"):
        fleet.worker(role, module, QUEUE)
    client = await fleet.client()
    recorded = await asyncio.gather(*(record(client, name) for name in names))
    histories = dict(zip(names, recorded))
    for name, history in list(histories.items()):
        histories.update(variants(name, history))
    different = await compare(str(built / "flotilla"), module, histories)
    for name, answers in different.items():
        print(f"{name}:\n  core {answers['core']}\n  ours {answers['ours']}")
    assert not different, f"{len(different)} of {len(histories)} histories are judged differently: {sorted(different)}"
    return len(histories)


if __name__ == "__main__":
    import argparse
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
    from fleet import Fleet
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("story", nargs="*")
    options = parser.parse_args()
    with Fleet(pathlib.Path(options.bin)) as one:
        one.engine()
        print(asyncio.run(judge(one, options, options.story or list(STORIES))), "histories, judged alike")
