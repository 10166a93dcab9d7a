# SPDX-License-Identifier: Apache-2.0
"""Every feature of the workflow API in C workflows (tests/interop/modules), called by the official Python client,
three ways: as it is; without a cache, so that each task replays its whole history; with runs evicted by chance, from a
seed that is printed and taken from FLOTILLA_RANDOM_EVICTION_SEED. The scenarios of one way run at the same time
against the same workers; then every history is fetched, and replayed by `flotilla replay` as it came, after a round
trip through the SDK's JSON, and tampered with (which must be refused)."""
import asyncio
import os
import pathlib
import random
import traceback
import urllib.request
import uuid

import feature_histories
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest

QUEUE = "features"
SCENARIOS = {}
WAYS = {"normal": {}, "without_cache": {"sticky_cache__max_entries": 0},
        "evicted": {"sticky_cache__random_eviction": 0.5}}
ATTRIBUTES = {"FeatureKeyword": "KEYWORD", "FeatureText": "TEXT", "FeatureInt": "INT", "FeatureDouble": "DOUBLE",
              "FeatureBool": "BOOL", "FeatureTime": "DATETIME", "FeatureList": "KEYWORD_LIST"}
MODULES = ("steps", "waiting", "entities", "messages", "failures")
TIMEOUT_S = 100


def scenario(f):
    SCENARIOS[f.__name__] = f
    return f


class Features:
    """What a scenario works with: the client, and every execution that it started."""

    def __init__(self, fleet, args, client, settings):
        self.fleet, self.client, self.settings = fleet, client, settings
        self.started = []  # handles
        self.ended_before = set()  # ids of those that ended with the code of features_before.c
        self.modules = pathlib.Path(args.bin).resolve().parent / "tests/modules"

    def module(self, name):
        return str(self.modules / f"features_{name}.so")

    def all_modules(self):
        return [self.module(name) for name in MODULES]

    async def start(self, type_, *arguments, queue=QUEUE, **options):
        handle = await self.client.start_workflow(type_, args=list(arguments), task_queue=queue,
                                                  id=f"{type_}-{uuid.uuid4().hex[:10]}", **options)
        self.started.append(handle)
        return handle

    async def result(self, type_, *arguments, **options):
        """(what it returned, its events)"""
        handle = await self.start(type_, *arguments, **options)
        return await handle.result(), await events(handle)


async def events(handle):
    return list((await handle.fetch_history()).events)


def names(history):
    return [EventType.Name(e.event_type).removeprefix("EVENT_TYPE_") for e in history]


def count(history, name):
    return names(history).count(name)


def of_type(history, name):
    """The attributes of its events of that type."""
    return [getattr(e, e.WhichOneof("attributes")) for e in history
            if e.event_type == EventType.Value(f"EVENT_TYPE_{name}")]


async def summaries(client, history, name):
    """The summaries of its events of that type."""
    payloads = [e.user_metadata.summary for e in history
                if e.event_type == EventType.Value(f"EVENT_TYPE_{name}") and e.user_metadata.summary.data]
    return await client.data_converter.decode(payloads) if payloads else []


async def until(handle, name, times=1):
    """Wait until its history has so many events of that type."""
    seen = 0
    while seen < times:
        seen = 0
        async for event in handle.fetch_history_events(wait_new_event=True):
            seen += event.event_type == EventType.Value(f"EVENT_TYPE_{name}")
            if seen >= times:
                return
        assert seen >= times, f"{handle.id} ended without {name}"


async def failure_of(call, kind):
    """The failure of that kind with which call ends."""
    try:
        answer = await call
    except kind as failure:
        return failure
    raise AssertionError(f"answered with {answer}")


# ---- a way ----

def start_workers(features):
    fleet = features.fleet
    modules = " ".join(features.all_modules())
    worker = fleet.worker("workflow-worker", modules, QUEUE, **features.settings)
    for queue in (QUEUE, f"{QUEUE}-2", "features-changing"):
        fleet.worker("io-activity-worker", features.module("steps"), queue)
    return worker


async def one(features, name):
    """A scenario; what went wrong, as text."""
    try:
        await asyncio.wait_for(SCENARIOS[name](features), TIMEOUT_S)
    except Exception:
        return f"{name}:\n{traceback.format_exc()}"
    return ""


def metric(worker, name, label=""):
    """The sum of what a worker's metrics say under that name, of those that have the label."""
    with urllib.request.urlopen(f"http://{worker.address('http')}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{") and label in line)


async def run(fleet, args, way):
    settings = {"sticky_cache__schedule_to_start_timeout": "500ms", **WAYS[way]}
    if way == "evicted":
        seed = int(os.environ.get("FLOTILLA_RANDOM_EVICTION_SEED") or random.randrange(1, 2**53))
        print(f"      evicted by chance, FLOTILLA_RANDOM_EVICTION_SEED={seed}", flush=True)
        settings["sticky_cache__random_eviction_seed"] = seed
    client = await fleet.client()
    await client.operator_service.add_search_attributes(AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={
            name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind}") for name, kind in ATTRIBUTES.items()}))
    features = Features(fleet, args, client, settings)
    worker = start_workers(features)
    failed = list(filter(None, await asyncio.gather(*(one(features, name) for name in SCENARIOS))))
    assert not failed, "\n".join(failed)
    hits = metric(worker, "temporal_sticky_cache_hit_total")
    assert hits == 0 if way == "without_cache" else hits > 30, hits
    evicted = metric(worker, "flotilla_sticky_cache_evictions_total", 'reason="forced"')
    assert evicted > 30 if way == "evicted" else evicted == 0, evicted
    told = await feature_histories.judge(features)
    print(f"      {len(SCENARIOS)} scenarios, {way.replace('_', ' ')}; {told}", flush=True)


def ways():
    """(name, scenario of interop.py) for each way."""
    def check(way):
        async def run_way(fleet, args):
            await run(fleet, args, way)
        return run_way
    return [("" if way == "normal" else f"_{way}", check(way)) for way in WAYS]
