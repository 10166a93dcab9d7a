# SPDX-License-Identifier: Apache-2.0
"""The `temporal` command line, command by command, on our engine and on a real server: what it prints must be the same.

A worker of the Python SDK (sdks/python/sdk_workflows.py) serves the queue "cli" of both. What differs from run to run (ids
that servers make, times, sizes, addresses) is replaced before the outputs are compared."""
import asyncio
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys

from temporalio.worker import Worker

sys.path.insert(0, str(pathlib.Path(__file__).parent / "sdks/python"))
import sdk_workflows as wf  # noqa: E402

QUEUE = "cli"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
REPLACED = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| \+\d{4} UTC)?"), "TIME"),
    (re.compile(r"\b(in )?(an?|\d+) (second|minute|hour|day|week|month|year)s?( ago| from now)?\b|\bnow\b|a few seconds ago"), "AGE"),
    (re.compile(r"\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|ns|s|m|h)\b"), "DURATION"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b\d+@[\w.-]+"), "IDENTITY"),
    (re.compile(r'("?(TaskId|taskId|HistorySize|historySizeBytes|HistorySizeBytes|StateTransitionCount)"?:? +)"?\d+"?'), r"\1NUMBER"),
    (re.compile(r'Namespace \\?"second\\?" already exists'), "Namespace already exists."),  # the real server says this or that
    (re.compile(r"\bworker-[0-9a-f]{32}\b"), "STICKY"),
    (re.compile(r'("historySizeBytes":")\d+'), r"\1NUMBER"),
    (re.compile(r'("CreatedAt|LastUpdateAt) a long while ago'), r"\1 AGE"),
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"[ \t]+"), " "),  # columns are as wide as what was replaced
    (re.compile(r" +$", re.M), ""),
]
FLAGS = re.compile(r'("coreUsedFlags": \[)([\s\d,]+)')  # an SDK's set, in any order


class Terminal:
    """Commands against one server, and what they printed."""

    def __init__(self, program, address, folder):
        self.program, self.address, self.folder = program, address, folder
        self.transcript, self.ids = [], {}

    def plain(self, text):
        text = UUID.sub(lambda m: f"id-{self.ids.setdefault(m[0], len(self.ids) + 1)}", text)
        for pattern, by in REPLACED:
            text = pattern.sub(by, text)
        return FLAGS.sub(lambda m: m[1] + ", ".join(sorted(re.findall(r"\d+", m[2]))), text)

    async def quietly(self, *args):
        """(exit code, output): no part of the transcript."""
        child = await asyncio.create_subprocess_exec(
            self.program, *args, "--address", self.address, "--color", "never", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
            env={**os.environ, "HOME": self.folder, "TEMPORAL_CONFIG_FILE": ""})
        said, _ = await asyncio.wait_for(child.communicate(), 60)
        return child.returncode, said.decode()

    def record(self, args, code, said):
        self.transcript += [self.plain(f"$ temporal {' '.join(args)}"), *self.plain(said).splitlines(), f"(exit code {code})", ""]

    async def run(self, *args):
        code, said = await self.quietly(*args)
        self.record(args, code, said)
        return said

    async def unordered(self, *args, split="\n", without="$^"):
        """A list whose order a real server leaves open; entries that match `without` are left out."""
        code, said = await self.quietly(*args)
        self.record(args, code, split.join(sorted(e for e in said.split(split) if not re.search(without, e))))

    async def json(self, *args):
        """As JSON that is read here: the transcript has its keys only."""
        code, said = await self.quietly(*args, "--output", "json")
        assert code == 0, (args, said)
        return json.loads(said)

    async def when(self, there, *args):
        """The command once its output has what `there` says (a real server's lists lag), and once only."""
        for _ in range(200):
            code, said = await self.quietly(*args)
            if re.search(there, said):
                self.record(args, code, said)
                return said
            await asyncio.sleep(0.1)
        raise AssertionError(f"temporal {' '.join(args)} never said {there!r}: {said}")


def start(id_, type_, *inputs):
    return ["--workflow-id", id_, "--type", type_, "--task-queue", QUEUE,
            *(word for value in inputs for word in ("--input", json.dumps(value)))]


async def first_steps(t):
    await t.run("operator", "cluster", "health")
    await t.run("workflow", "start", *start("hello", "Hello", "you"))
    await t.run("workflow", "result", "--workflow-id", "hello")
    await t.run("workflow", "execute", *start("hello-2", "Hello", "two"))
    await t.run("workflow", "execute", *start("refused", "Refused"))
    await t.run("workflow", "start", *start("hello-2", "Hello", "again"), "--id-reuse-policy", "RejectDuplicate")
    await t.run("workflow", "describe", "--workflow-id", "hello")
    await t.run("workflow", "describe", "--workflow-id", "refused")
    await t.run("workflow", "describe", "--workflow-id", "nobody")
    await t.run("workflow", "show", "--workflow-id", "hello")
    await t.run("workflow", "show", "--workflow-id", "refused")
    await t.run("workflow", "show", "--workflow-id", "hello", "--output", "json")
    await t.run("workflow", "result", "--workflow-id", "nobody")
    await t.run("workflow", "trace", "--workflow-id", "hello")


async def messages(t):
    await t.run("workflow", "start", *start("cart", "Cart"), "--memo", 'team="cli"')
    await t.run("workflow", "signal", "--workflow-id", "cart", "--name", "put", "--input", '"one"')
    await t.run("workflow", "query", "--workflow-id", "cart", "--type", "items")
    await t.run("workflow", "query", "--workflow-id", "cart", "--type", "nothing")
    await t.run("workflow", "update", "execute", "--workflow-id", "cart", "--name", "add", "--update-id", "u1",
                "--input", '"two"')
    await t.run("workflow", "update", "execute", "--workflow-id", "cart", "--name", "add", "--update-id", "u2", "--input", '""')
    await t.run("workflow", "update", "describe", "--workflow-id", "cart", "--update-id", "u1")
    await t.run("workflow", "update", "result", "--workflow-id", "cart", "--update-id", "u1")
    await t.run("workflow", "update", "start", "--workflow-id", "cart", "--name", "add", "--update-id", "u3",
                "--wait-for-stage", "accepted", "--input", '"three"')
    code, stack = await t.quietly("workflow", "stack", "--workflow-id", "cart")
    t.record(["workflow", "stack"], code, "Cart" if "workflow: Cart" in stack else stack)  # tasks in any order
    await t.run("workflow", "metadata", "--workflow-id", "cart")
    await t.run("workflow", "describe", "--workflow-id", "cart")
    await t.run("workflow", "signal", "--workflow-id", "cart", "--name", "close")
    await t.run("workflow", "result", "--workflow-id", "cart")
    await t.run("workflow", "signal", "--workflow-id", "cart", "--name", "close")
    await t.run("workflow", "query", "--workflow-id", "cart", "--type", "items")
    await t.run("workflow", "signal-with-start", *start("cart-2", "Cart"), "--signal-name", "put", "--signal-input", '"x"')
    await t.run("workflow", "execute-update-with-start", *start("cart-3", "Cart"), "--update-name", "add",
                "--update-input", '"y"', "--id-conflict-policy", "UseExisting")


async def ends(t):
    for id_ in ["ended-1", "ended-2", "ended-3"]:
        await t.run("workflow", "start", *start(id_, "Cart"))
    await t.run("workflow", "cancel", "--workflow-id", "ended-1")
    await t.run("workflow", "result", "--workflow-id", "ended-1")
    await t.run("workflow", "cancel", "--workflow-id", "ended-1")
    await t.run("workflow", "terminate", "--workflow-id", "ended-2", "--reason", "enough")
    await t.run("workflow", "result", "--workflow-id", "ended-2")
    await t.run("workflow", "describe", "--workflow-id", "ended-2")
    await t.run("workflow", "terminate", "--workflow-id", "nobody")
    await t.run("workflow", "delete", "--workflow-id", "ended-3")
    await t.when("not found", "workflow", "describe", "--workflow-id", "ended-3")


async def resets(t):
    await t.run("workflow", "signal-with-start", *start("reset", "Cart"), "--signal-name", "put", "--signal-input", '"kept"')
    await t.run("workflow", "query", "--workflow-id", "reset", "--type", "items")
    await t.run("workflow", "signal", "--workflow-id", "reset", "--name", "put", "--input", '"again"')
    await t.run("workflow", "query", "--workflow-id", "reset", "--type", "items")
    await t.run("workflow", "reset", "--workflow-id", "reset", "--event-id", "5", "--reason", "once more")
    await t.run("workflow", "query", "--workflow-id", "reset", "--type", "items")
    await t.run("workflow", "reset", "--workflow-id", "reset", "--type", "FirstWorkflowTask", "--reason", "from the start")
    await t.run("workflow", "query", "--workflow-id", "reset", "--type", "items")
    await t.run("workflow", "reset", "--workflow-id", "reset", "--event-id", "1", "--reason", "no")
    await t.run("workflow", "signal", "--workflow-id", "reset", "--name", "close")
    await t.run("workflow", "result", "--workflow-id", "reset")
    await t.run("workflow", "update-options", "--workflow-id", "reset", "--versioning-override-behavior", "auto_upgrade")


async def lists(t):
    for i in range(3):
        await t.run("workflow", "execute", *start(f"listed-{i}", "Local", "x"))
    done = "WorkflowType = 'Local' AND ExecutionStatus = 'Completed'"
    await t.when("Total: 3", "workflow", "count", "--query", done)
    await t.when("listed-0", "workflow", "list", "--query", done)
    await t.run("workflow", "list", "--query", done, "--limit", "1")
    await t.run("workflow", "list", "--query", "WorkflowId STARTS_WITH 'listed-' ", "--output", "jsonl")
    await t.run("workflow", "count", "--query", "WorkflowType = 'Local' GROUP BY ExecutionStatus")
    await t.run("workflow", "list", "--query", "Nothing = 'x'")
    await t.run("workflow", "list", "--query", "WorkflowType = ")
    await t.run("workflow", "count", "--query", "GROUP BY WorkflowType")


async def schedules(t):
    await t.run("schedule", "create", "--schedule-id", "hourly", "--interval", "1h", *start("scheduled", "Hello", "s"),
                "--paused", "--notes", "at first", "--overlap-policy", "BufferOne", "--schedule-memo", 'team="cli"')
    await t.run("schedule", "create", "--schedule-id", "hourly", "--interval", "1h", *start("scheduled", "Hello", "s"))
    await t.run("schedule", "create", "--schedule-id", "weekly", "--calendar", '{"dayOfWeek":"Fri","hour":"3","minute":"11"}',
                "--cron", "0 12 * * *", "--jitter", "5s", *start("weekly", "Hello", "w"))
    await t.run("schedule", "create", "--schedule-id", "wrong", "--cron", "x * * * *", *start("wrong", "Hello", "w"))
    await t.run("schedule", "describe", "--schedule-id", "hourly")
    await t.run("schedule", "toggle", "--schedule-id", "hourly", "--unpause", "--reason", "now then")
    await t.run("schedule", "trigger", "--schedule-id", "hourly")
    await t.when(r'RunningWorkflows +\[\][\s\S]*"Total":1', "schedule", "describe", "--schedule-id", "hourly")
    await t.run("schedule", "backfill", "--schedule-id", "hourly", "--start-time", "2026-01-01T00:00:00Z",
                "--end-time", "2026-01-01T02:30:00Z", "--overlap-policy", "AllowAll")
    await t.run("schedule", "update", "--schedule-id", "weekly", "--interval", "2h", *start("weekly", "Hello", "w2"))
    await t.run("schedule", "toggle", "--schedule-id", "weekly", "--pause", "--reason", "rest")
    await t.run("schedule", "describe", "--schedule-id", "weekly")
    await t.when("weekly[^$]*|hourly", "schedule", "list")
    await t.run("schedule", "list", "--query", "ScheduleId = 'weekly' AND TemporalSchedulePaused = false")
    await t.run("schedule", "list", "--query", "nonsense")
    await t.run("schedule", "delete", "--schedule-id", "weekly")
    await t.run("schedule", "delete", "--schedule-id", "hourly")
    await t.run("schedule", "describe", "--schedule-id", "hourly")
    await t.run("schedule", "trigger", "--schedule-id", "nobody")


async def batches(t):
    for i in range(3):
        await t.run("workflow", "start", *start(f"batch-{i}", "Cart"))
    open_ = "WorkflowId STARTS_WITH 'batch-' AND ExecutionStatus = 'Running'"
    await t.when("Total: 3", "workflow", "count", "--query", open_)
    await t.run("workflow", "signal", "--query", open_, "--name", "put", "--input", '"all"', "--reason", "told", "--yes")

    async def told():
        for i in range(3):
            _, said = await t.quietly("workflow", "query", "--workflow-id", f"batch-{i}", "--type", "items")
            if "all" not in said:
                return False
        return True
    for _ in range(200):
        if await told():
            break
        await asyncio.sleep(0.1)
    for i in range(3):
        await t.run("workflow", "query", "--workflow-id", f"batch-{i}", "--type", "items")
    await t.run("workflow", "reset", "--query", open_, "--type", "LastWorkflowTask", "--reason", "again", "--yes")
    await t.when("Completed[^$]*Completed", "batch", "list")
    await t.when("Total: 3", "workflow", "count", "--query", open_)
    for i in range(3):
        await t.run("workflow", "query", "--workflow-id", f"batch-{i}", "--type", "items")
    await t.run("workflow", "terminate", "--query", open_, "--reason", "enough", "--yes")
    await t.when("Total: 0", "workflow", "count", "--query", open_)
    jobs = await t.when("Completed[^$]*Completed[^$]*Completed", "batch", "list")
    job = UUID.search(jobs)[0]
    await t.run("batch", "describe", "--job-id", job)
    await t.run("batch", "describe", "--job-id", "nobody")
    await t.run("batch", "terminate", "--job-id", "nobody", "--reason", "no")


async def activities(t):
    await t.run("workflow", "start", *start("pending", "Pending"))
    for _ in range(200):
        described = await t.json("workflow", "describe", "--workflow-id", "pending")
        if any(a.get("state") == "PENDING_ACTIVITY_STATE_STARTED" for a in described.get("pendingActivities", [])):
            break
        await asyncio.sleep(0.1)
    await t.run("workflow", "describe", "--workflow-id", "pending")
    await t.run("activity", "pause", "--workflow-id", "pending", "--activity-id", "1", "--identity", "me")
    await t.when("pending", "workflow", "list", "--query", 'TemporalPauseInfo = "property:activityType=later"')
    await t.run("activity", "unpause", "--workflow-id", "pending", "--activity-id", "1", "--identity", "me")
    await t.run("activity", "update-options", "--workflow-id", "pending", "--activity-id", "1", "--identity", "me",
                "--start-to-close-timeout", "30s")
    await t.run("activity", "reset", "--workflow-id", "pending", "--activity-id", "1", "--identity", "me")
    await t.run("activity", "complete", "--workflow-id", "pending", "--activity-id", "1", "--result", '"by hand"',
                "--identity", "me")
    await t.run("workflow", "result", "--workflow-id", "pending")
    await t.run("activity", "fail", "--workflow-id", "pending", "--activity-id", "1", "--reason", "late")
    await t.run("activity", "pause", "--workflow-id", "pending", "--activity-id", "1", "--identity", "me")


async def operators(t):
    await t.run("operator", "namespace", "create", "--namespace", "second", "--description", "another", "--retention", "3d")
    await t.run("operator", "namespace", "create", "--namespace", "second")
    await t.run("operator", "namespace", "update", "--namespace", "second", "--description", "changed")
    await t.run("operator", "namespace", "describe", "--namespace", "second")
    await t.run("operator", "namespace", "describe", "--namespace", "nobody")
    # A real server also lists the namespace of its own workflows, which we do not have.
    await t.unordered("operator", "namespace", "list", split="\n\n", without="temporal-system")
    await t.run("operator", "search-attribute", "create", "--name", "Colour", "--type", "Keyword", "--name", "Amount",
                "--type", "Int")
    await t.run("operator", "search-attribute", "create", "--name", "Colour", "--type", "Int")
    for _ in range(100):  # a real server knows it some moments later
        if "Colour" in (await t.quietly("operator", "search-attribute", "list"))[1]:
            break
        await asyncio.sleep(0.1)
    await t.unordered("operator", "search-attribute", "list")
    await t.run("operator", "search-attribute", "remove", "--name", "Amount", "--yes")
    await t.run("operator", "search-attribute", "remove", "--name", "Nothing", "--yes")
    await t.run("operator", "cluster", "describe")
    await t.run("operator", "cluster", "system")
    await t.unordered("task-queue", "describe", "--task-queue", "idle-queue")
    await t.run("task-queue", "config", "get", "--task-queue", "idle-queue", "--task-queue-type", "activity")
    await t.run("task-queue", "config", "set", "--task-queue", "idle-queue", "--task-queue-type", "activity",
                "--queue-rps-limit", "5", "--queue-rps-limit-reason", "gently")
    await t.run("task-queue", "config", "get", "--task-queue", "idle-queue", "--task-queue-type", "activity")
    await t.run("worker", "list", "--query", "TaskQueue = 'nothing'")
    await t.run("worker", "list", "--query", "nonsense")
    await t.run("worker", "list", "--namespace", "nobody")
    await t.run("workflow", "list", "--namespace", "nobody")


STORIES = [first_steps, messages, ends, resets, lists, schedules, batches, activities, operators]


async def play(fleet, program, folder, names):
    """{story: its transcript} on that server."""
    client = await fleet.client()
    transcripts = {}
    async with Worker(client, task_queue=QUEUE, workflows=wf.WORKFLOWS, activities=wf.ACTIVITIES, identity="worker"):
        async def one(story):
            terminal = Terminal(program, fleet.target, folder)
            try:
                await story(terminal)
            except Exception as error:
                terminal.transcript += [f"story ended: {error}"]
            transcripts[story.__name__] = terminal.transcript
        for story in STORIES:
            if not names or story.__name__ in names:
                await one(story)
    return transcripts


async def compare(ours, real, program, folder, names=()):
    """The differences as a text; "" when there are none."""
    here, there = await asyncio.gather(play(ours, program, folder, names), play(real, program, folder, names))
    return "\n".join("\n".join(difflib.unified_diff(there[name], here[name], f"{name} on the real server",
                                                     f"{name} on ours", n=4, lineterm=""))
                     for name in here if here[name] != there[name])
