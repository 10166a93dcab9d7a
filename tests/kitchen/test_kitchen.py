#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random workflows (recipes.py) on the engine with real workers, each twice: with the cache, and with runs that are evicted
at random while workers and the engine are killed. Both times they have to give what their recipe says, and their
histories have to hold what every history holds (invariants.py).

  test_kitchen.py                   KITCHEN_SEEDS seeds (500; with sanitizers fewer), from a random one on
  test_kitchen.py --seed 17         that one, again and loud; --mode cached or chaos: only once
  test_kitchen.py --seed 17 --print its input and what it has to give

KITCHEN_SEED is the first seed, KITCHEN_KEEP a folder for the recipes and histories of seeds that failed."""
import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import invariants  # noqa: E402
from client import NOT_FOUND, NOT_READY, CallError, Client, failure_type, value_of  # noqa: E402
from fleet import Fleet, free_port  # noqa: E402
from recipes import ATTRIBUTES, FEATURES, Recipe  # noqa: E402

BIN = pathlib.Path(os.environ.get("FLOTILLA_BIN", pathlib.Path(__file__).parents[2] / "build/release/bin")).absolute()
SANITIZER = os.environ.get("FLOTILLA_SANITIZE", "")
SLOW = 5 if SANITIZER else 1
QUEUE = "kitchen"
COMPLAINT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")
SEED = re.compile(r"kitchen-(\d+)")
WORKFLOW_WORKER = {"max_concurrent_workflow_tasks": 20, "max_concurrent_workflow_task_polls": 6,
                   "max_concurrent_local_activities": 200, "log__level": "warn", "shutdown_timeout": "3s", "executor__grace": "500ms"}
ACTIVITY_WORKER = {"max_concurrent_activities": 400, "executor__workers": 400, "max_concurrent_activity_task_polls": 6,
                   "log__level": "error", "shutdown_timeout": "3s", "executor__grace": "500ms"}
FORGETFUL = {"sticky_cache__schedule_to_start_timeout": "300ms", "sticky_cache__random_eviction": 0.3}


class Kitchen:
    """An engine and workers; a chaotic one kills them all the time."""

    def __init__(self, mode, seed, pace):
        self.mode, self.seed, self.rng, self.pace = mode, seed, random.Random(seed), pace
        self.fleet = Fleet(BIN)
        self.kills, self.dead, self.bad, self.enough = 0, [], [], asyncio.Event()

    async def __aenter__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self.start_engine()
        count = 1 if self.mode == "cached" else 2
        self.workers = [self.start_worker(role) for role in ["workflow-worker", "io-activity-worker"] for _ in range(count)]
        self.client = await Client.open(BIN.parent / "tests/kitchen_bridge", self.address)
        await self.client.call("add_search_attributes", namespace="default", searchAttributes={
            name: f"INDEXED_VALUE_TYPE_{kind}" for name, kind in ATTRIBUTES.items()})
        self.murderer = asyncio.create_task(self.murder()) if self.mode == "chaos" else None
        return self

    async def __aexit__(self, *exc):
        await self.calm()
        await self.client.close()
        self.fleet.__exit__(*exc)

    def said(self):
        """What all processes logged, those that were killed, too."""
        return "".join(f"--- {p.name} {p.child.pid}\n" + "\n".join(p.output) + "\n" for p in self.dead + self.fleet.processes)

    def complaints(self):
        """Of processes that died, and of sanitizers."""
        return self.bad + [line for line in self.said().splitlines() if COMPLAINT.search(line)]

    def start_engine(self):
        db = ["--db", pathlib.Path(self.fleet.folder.name, "kitchen.db")] if self.mode == "chaos" else []
        self.engine = self.fleet.start("flotilla-engine", [BIN / "flotilla-engine", "--listen", self.address,
                                                           "--log-level", "error", *db])
        self.fleet.target = self.engine.address("grpc")

    def start_worker(self, role):
        settings = dict(WORKFLOW_WORKER if role == "workflow-worker" else ACTIVITY_WORKER)
        if self.mode == "chaos" and role == "workflow-worker":
            settings.update(FORGETFUL, sticky_cache__random_eviction_seed=self.rng.randrange(1, 1 << 30))
        return role, self.fleet.worker(role, "kitchensink", QUEUE, **settings)

    async def calm(self):
        """Nobody is killed any more."""
        self.enough.set()
        if self.murderer:
            await self.murderer

    async def over_within(self, seconds):
        try:
            await asyncio.wait_for(self.enough.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    async def murder(self):
        """kill -9 of somebody, who is there again at once."""
        loop = asyncio.get_running_loop()
        while not await self.over_within(self.rng.uniform(0.4, 1.2) * self.pace * SLOW):
            i = self.rng.randrange(len(self.workers) + 1)
            victim = self.engine if i == len(self.workers) else self.workers[i][1]
            code = await loop.run_in_executor(None, victim.stop, signal.SIGKILL)
            if code != -signal.SIGKILL:
                self.bad.append(f"{victim.name} ended by itself, exit code {code}")
            self.fleet.processes.remove(victim)
            self.dead.append(victim)
            if i == len(self.workers):
                await loop.run_in_executor(None, self.start_engine)
            else:
                self.workers[i] = self.start_worker(self.workers[i][0])
            self.kills += 1


class Plate:
    """One recipe in one kitchen."""

    def __init__(self, kitchen, recipe):
        self.kitchen, self.client, self.recipe = kitchen, kitchen.client, recipe
        self.id = f"kitchen-{recipe.seed}"
        self.rng = random.Random(recipe.seed)
        self.problems, self.histories = [], {}

    def expect(self, found, wanted, what):
        if found != wanted:
            self.problems.append(f"{what}: {json.dumps(found)[:2000]}\n    instead of {json.dumps(wanted)[:2000]}")

    async def run(self):
        try:
            await asyncio.wait_for(self.serve(), float(os.environ.get('KITCHEN_PATIENCE', 60)) * SLOW)
        except asyncio.TimeoutError:
            self.problems.append("it did not end: " + await self.where(self.id))
        except CallError as error:
            self.problems.append(str(error))
        return self.problems

    async def where(self, workflow_id):
        """What a run that does not end is at, and its children that have not ended."""
        try:
            events = await self.client.history(workflow_id, "")
            self.histories[workflow_id.replace("/", "-")] = events
            names = ", ".join(f"{e['eventId']} {invariants.type_of(e)}" for e in events[-8:])
            stack = await asyncio.wait_for(self.client.query(workflow_id, "", "__stack_trace"), 5)
        except (CallError, asyncio.TimeoutError) as error:
            return f"\n    {workflow_id}: {error!r}"
        open_ = {}
        for event in events:
            kind, a = invariants.type_of(event), invariants.attributes(event)
            if kind == invariants.CHILD:
                open_[a["initiatedEventId"]] = a["workflowExecution"]["workflowId"]
            elif kind in invariants.CHILD_ENDS:
                open_.pop(a["initiatedEventId"], None)
        return f"\n    {workflow_id}: {names}\n{stack}" + "".join([await self.where(child) for child in open_.values()])

    async def serve(self):
        recipe = self.recipe
        run_id = await self.client.start(self.id, QUEUE, recipe.input, f"{SLOW}s", recipe.retry and recipe.retry + 1)
        calls = [self.say(i, call) for i, call in enumerate(recipe.calls)]
        ended = asyncio.create_task(self.end(run_id))
        ended.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.gather(*calls, *(self.ask(ended) for _ in range(self.rng.randrange(2) if "query" in recipe.features else 0)))
        last_run, close = await ended
        await self.family(self.id, run_id)
        await self.check(last_run, close)
        for child, status in recipe.children.items():
            self.expect(self.ends.get(self.id + child), status, f"how child {child} ended")

    async def end(self, run_id):
        """The last run of the chain that begins with run_id, and how it closed."""
        while True:
            close = await self.client.closed(self.id, run_id)
            following = invariants.attributes(close).get("newExecutionRunId")
            if not following:
                return run_id, close
            run_id = following

    async def say(self, i, call):
        await asyncio.sleep(self.rng.choice([0, 0.01, 0.05, 0.2, 0.5]))
        if call["call"] == "signal":
            await self.client.signal(self.id, call["name"], call["input"])
        elif call["call"] == "cancel":
            await self.client.cancel(self.id, call["reason"])
        else:
            await self.update(f"u{i}", call)

    async def update(self, update_id, call):
        refused = call["gives"] == {"failed": "NotOnTheMenu"}
        while True:
            try:
                gives = await self.client.update(self.id, update_id, call["name"], call["input"])
            except CallError as error:
                if error.code == NOT_READY:  # its tasks were lost with their workers too often
                    await asyncio.sleep(0.2)
                    continue
                if error.code != NOT_FOUND:
                    raise
                if refused:  # nobody waits for it: the workflow may have ended
                    return
                await asyncio.sleep(0.05)  # that run has ended, the next one takes it
                continue
            if gives == {"failed": "AcceptedUpdateCompletedWorkflow"} and not refused:
                continue
            self.expect(gives, call["gives"], f"update {call['input']}")
            return

    async def ask(self, ended):
        """A query at some time."""
        await asyncio.sleep(self.rng.choice([0.01, 0.1, 0.4]))
        kind = self.rng.choice(["progress", "greedy", "what", "__stack_trace", "__temporal_workflow_metadata"])
        try:
            answer = await self.client.query(self.id, "", kind, 7)
        except CallError as error:
            lost = error.code == NOT_READY and self.kitchen.mode == "chaos"
            if kind != "greedy" and not ended.done() and not lost:
                self.problems.append(f"query {kind}: {error}")
            return
        if kind == "greedy":
            self.problems.append("a query started a timer")
        elif kind == "what":
            self.expect(answer, {"query": "what", "input": 7}, "query what")
        elif kind == "progress" and not isinstance(answer, int):
            self.problems.append(f"query progress: {answer}")

    async def check(self, run_id, close):
        recipe, kind = self.recipe, invariants.type_of(close)
        wanted = {"trace": recipe.trace, "messages": recipe.messages}
        self.expect(kind, f"WORKFLOW_EXECUTION_{recipe.status.upper()}", "the end " + self.why(close))
        if kind == "WORKFLOW_EXECUTION_COMPLETED":
            self.difference(value_of(invariants.attributes(close).get("result")), wanted, "the result")
        # The run is in nobody's cache any more: this is a replay of its whole history.
        if "query" in recipe.features:
            self.difference(await self.client.query(self.id, run_id, "trace"), wanted, "the trace, asked for later")

    def why(self, close):
        failure = invariants.attributes(close).get("failure")
        return f"({failure_type(failure)}: {json.dumps(failure)[:1000]})" if failure else ""

    def difference(self, found, wanted, what):
        """The first place where two values differ."""
        if found == wanted and type(found) is type(wanted):
            return
        if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
            for i, (a, b) in enumerate(zip(found, wanted)):
                self.difference(a, b, f"{what}[{i}]")
        elif isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
            for key in found:
                self.difference(found[key], wanted[key], f"{what}.{key}")
        elif found != wanted:
            self.expect(found, wanted, what)

    async def family(self, workflow_id, run_id):
        """The histories of a chain of runs and of all that descend from them, when they have ended."""
        self.ends = getattr(self, "ends", {})
        while run_id:
            close = await self.client.closed(workflow_id, run_id)
            events = await self.client.history(workflow_id, run_id)
            self.histories[f"{workflow_id}.{run_id}".replace("/", "-")] = events
            self.problems += [f"{workflow_id}: {problem}" for problem in invariants.broken(events)]
            for event in events:
                if invariants.type_of(event) == invariants.CHILD:
                    a = invariants.attributes(event)["workflowExecution"]
                    await self.family(a["workflowId"], a["runId"])
            self.ends[workflow_id] = invariants.type_of(close).removeprefix("WORKFLOW_EXECUTION_").capitalize()
            run_id = invariants.attributes(close).get("newExecutionRunId")

    def write(self, folder):
        for name, events in self.histories.items():
            (folder / f"{name}.json").write_text(json.dumps({"events": events}))

    def keep(self, folder):
        folder = pathlib.Path(folder, f"{self.recipe.seed}-{self.kitchen.mode}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "recipe.json").write_text(recipe_text(self.recipe))
        (folder / "problems.txt").write_text("\n".join(self.problems) + "\n")
        self.write(folder)
        (folder / "processes.log").write_text(self.kitchen.said())


def recipe_text(recipe):
    return json.dumps({"seed": recipe.seed, "input": recipe.input, "status": recipe.status, "trace": recipe.trace,
                       "messages": recipe.messages, "calls": recipe.calls, "children": recipe.children}, indent=1)


async def replay(folder, mode):
    """`flotilla replay` of all histories: (seed, mode, problems) of those that do not match the code."""
    process = await asyncio.create_subprocess_exec(
        BIN / "flotilla", "replay", folder, "--module", BIN.parent / "modules/kitchensink.so",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out = (await process.communicate())[0].decode()
    lines = [line for line in out.splitlines() if not line.startswith("ok ")]
    if process.returncode == 0:
        return []
    seed = next((int(found[1]) for line in lines if (found := SEED.search(line))), 0)
    return [(seed, mode, [f"flotilla replay: exit code {process.returncode}", *lines[:20]])]


async def cook(mode, seeds, options):
    """All seeds in one kitchen; (seed, mode, problems) of those that failed."""
    failed, room, events, slowest = [], asyncio.Semaphore(options.in_flight), 0, []

    async def one(kitchen, seed):
        nonlocal events
        async with room:
            if len(failed) >= options.failures:
                return
            plate = Plate(kitchen, Recipe(seed, options.features, 1000 * SLOW))
            began_one = time.monotonic()
            problems = await plate.run()
            slowest.append((round(time.monotonic() - began_one, 1), seed))
            events += sum(len(h) for h in plate.histories.values())
            plate.write(histories)
            if problems:
                failed.append((seed, mode, problems))
                if options.keep:
                    plate.keep(options.keep)
            elif options.keep and (options.seed is not None or slowest[-1][0] > 20 * SLOW):
                plate.keep(options.keep)

    began = time.monotonic()
    async with Kitchen(mode, seeds[0], options.pace) as kitchen:
        histories = pathlib.Path(kitchen.fleet.folder.name, "histories")
        histories.mkdir()
        await asyncio.gather(*(one(kitchen, seed) for seed in seeds))
        served = time.monotonic() - began
        await kitchen.calm()
        failed += await replay(histories, mode)
        if complaints := kitchen.complaints():
            failed.append((seeds[0], mode, complaints))
        print(f"{mode}: {len(seeds)} recipes, {len(failed)} failed, {events} events, {kitchen.kills} kills, "
              f"{served:.1f} s and {time.monotonic() - began - served:.1f} s to replay; slowest {sorted(slowest)[-5:]}", flush=True)
    return failed


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("KITCHEN_SEEDS", 60 if SANITIZER else 500)))
    parser.add_argument("--first", type=int, default=int(os.environ.get("KITCHEN_SEED", random.randrange(1 << 31))))
    parser.add_argument("--mode", choices=["cached", "chaos"])
    parser.add_argument("--features", type=lambda text: set(text.split(",")), default=FEATURES)
    parser.add_argument("--in-flight", type=int, default=30 if SANITIZER else 150)
    parser.add_argument("--failures", type=int, default=5, help="so many, and no more are begun")
    parser.add_argument("--pace", type=float, default=1, help="of the kills: 0.5 is twice as often")
    parser.add_argument("--keep", default=os.environ.get("KITCHEN_KEEP"))
    parser.add_argument("--print", action="store_true")
    options = parser.parse_args()
    if options.print:
        print(recipe_text(Recipe(options.seed, options.features, 1000 * SLOW)))
        return 0
    seeds = [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    print(f"seeds {seeds[0]} to {seeds[-1]}", flush=True)
    modes = [options.mode] if options.mode else ["cached", "chaos"]
    failed = sum(await asyncio.gather(*(cook(mode, seeds, options) for mode in modes)), [])
    for seed, mode, problems in failed:
        print(f"\nseed {seed}, {mode}: repeat with {sys.argv[0]} --seed {seed} --mode {mode}")
        print(*(f"  {problem}" for problem in problems[:6]), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
