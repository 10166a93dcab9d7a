#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Interop checks, each with real processes: interop.py --bin DIR --temporal FILE [NAME ...]

Each check runs in a process of its own. Prints one line a check and "N passed, N failed" at the end; exit 1 when one
failed."""
import argparse
import asyncio
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.worker import Worker

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "support")]
import builds  # noqa: E402
import codecs_check  # noqa: E402
import command_line as commands  # noqa: E402
import histories  # noqa: E402
import updates  # noqa: E402,F401: its scenarios join those of histories
import entities  # noqa: E402
import headers  # noqa: E402
import feature_entities  # noqa: E402,F401: their scenarios join those of features
import feature_messages  # noqa: E402,F401
import feature_steps  # noqa: E402,F401
import features  # noqa: E402
import grpc_extras  # noqa: E402
import kill  # noqa: E402
import local  # noqa: E402
import messages  # noqa: E402
import monitoring  # noqa: E402
import oracle  # noqa: E402
import dev_server  # noqa: E402
import outcomes  # noqa: E402
import scaling  # noqa: E402
import time_skipping  # noqa: E402
import tracing  # noqa: E402
import web_page  # noqa: E402
from fleet import Fleet  # noqa: E402

CHECKS = {}
LICENCE = "file:///usr/share/common-licenses/Apache-2.0"


def check(f):
    CHECKS[f.__name__] = f
    return f


def check_on_both(scenario, on_engine, on_real_server):
    """Two checks, of these names: scenario(fleet, args) on our engine, and on a real server."""
    async def engine(args):
        with Fleet(args.bin) as fleet:
            fleet.engine()
            await scenario(fleet, args)

    async def real_server(args):
        with Fleet(args.bin, args.temporal) as fleet:
            fleet.real_server()
            await scenario(fleet, args)

    CHECKS[on_engine] = engine
    CHECKS[on_real_server] = real_server


@check
async def web_page_in_chromium(args):
    await web_page.web_page(args)


@check
async def grpc_around_the_calls(args):
    await grpc_extras.grpc_extras(args)


@check
async def python_helper_starts_engine(args):
    await dev_server.dev_server(args)


def new_id(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


async def echo(client):
    for value in ["hello", {"a": [1, 2, None], "ü": "ß"}, 42, None]:
        answer = await client.execute_workflow("EchoWorkflow", value, id=new_id("echo"), task_queue="benchmark")
        assert answer == value, (answer, value)
    started = [client.execute_workflow("EchoWorkflow", i, id=new_id("echo"), task_queue="benchmark") for i in range(100)]
    assert await asyncio.gather(*started) == list(range(100))


async def documents(client):
    run = await client.execute_workflow("DocumentWorkflow", {"uri": LICENCE}, id=new_id("doc"),
                                        task_queue="document-workflow-queue")
    assert run["language"] == "en" and run["words"] > 1000 and run["distinct_terms"] > 200, run
    assert any(t["term"] == "license" for t in run["top_terms"]), run
    try:
        await client.execute_workflow("DocumentWorkflow", {"uri": "file:///no/such/file"}, id=new_id("doc"),
                                      task_queue="document-workflow-queue")
        raise AssertionError("a missing document did not fail")
    except WorkflowFailureError as failure:
        cause = failure.cause.cause
        assert cause.type == "DocumentNotFound" and cause.non_retryable, cause


@check
async def python_client_engine_c_workers(args):
    with Fleet(args.bin) as fleet:
        fleet.engine()
        fleet.echo_workers()
        fleet.document_workers()
        client = await fleet.client()
        await echo(client)
        await documents(client)


@check
async def python_client_real_server_c_workers(args):
    with Fleet(args.bin, args.temporal) as fleet:
        fleet.real_server()
        client = await fleet.client()
        fleet.echo_workers()
        fleet.document_workers()
        await echo(client)
        await documents(client)


@activity.defn
async def flaky(name: str) -> str:
    if activity.info().attempt < 3:
        raise RuntimeError(f"attempt {activity.info().attempt}")
    return f"{name} at attempt {activity.info().attempt}"


@activity.defn
async def beat(n: int) -> int:
    for i in range(n):
        activity.heartbeat(i)
    return n


@workflow.defn
class Kitchen:
    """Activities, a retry, a timer, a signal, in one workflow."""

    def __init__(self):
        self.names = []

    @workflow.run
    async def run(self, wait_s: float) -> dict:
        begin = workflow.now()
        await asyncio.sleep(wait_s)
        slept = (workflow.now() - begin).total_seconds()
        await workflow.wait_condition(lambda: len(self.names) >= 2)
        retried = await workflow.execute_activity(
            flaky, self.names[0], start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50)))
        beats = await asyncio.gather(*[
            workflow.execute_activity(beat, n, start_to_close_timeout=timedelta(seconds=5),
                                      heartbeat_timeout=timedelta(seconds=2)) for n in range(5)])
        return {"slept": slept, "names": self.names, "retried": retried, "beats": beats}

    @workflow.signal
    def add(self, name: str) -> None:
        self.names.append(name)

    @workflow.query
    def count(self) -> int:
        return len(self.names)


@check
async def python_worker_on_engine(args):
    with Fleet(args.bin) as fleet:
        fleet.engine()
        client = await fleet.client()
        async with Worker(client, task_queue="py", workflows=[Kitchen], activities=[flaky, beat]):
            handles = [await client.start_workflow(Kitchen.run, 0.2, id=new_id("kitchen"), task_queue="py")
                       for _ in range(10)]
            for handle in handles:
                await handle.signal(Kitchen.add, "ann")
                await handle.signal(Kitchen.add, "ben")
                assert await handle.query(Kitchen.count) == 2
            for handle in handles:
                result = await asyncio.wait_for(handle.result(), 30)
                assert result["names"] == ["ann", "ben"] and result["beats"] == [0, 1, 2, 3, 4], result
                assert result["retried"] == "ann at attempt 3" and result["slept"] >= 0.2, result
            forever = await client.start_workflow(Kitchen.run, 3600, id=new_id("kitchen"), task_queue="py")
            await forever.cancel()
            try:
                await asyncio.wait_for(forever.result(), 20)
                raise AssertionError("a cancelled workflow completed")
            except WorkflowFailureError:
                assert (await forever.describe()).status == WorkflowExecutionStatus.CANCELED
            forever = await client.start_workflow(Kitchen.run, 3600, id=new_id("kitchen"), task_queue="py")
            await forever.terminate("enough")
            assert (await forever.describe()).status == WorkflowExecutionStatus.TERMINATED
            listed = [w async for w in client.list_workflows("ExecutionStatus = 'Completed'")]
            assert {h.id for h in handles} <= {w.id for w in listed}


async def activity_outcomes(fleet, args):
    """Every way in which an attempt can end, in C workers of both kinds."""
    failed = await outcomes.run(fleet, args)
    assert not failed, "\n".join(failed)


check_on_both(activity_outcomes, "activity_outcomes_engine", "activity_outcomes_real_server")


def workers_life(args, file, *names):
    """Tests of tests/integration on the real server, in a process of their own."""
    folder = pathlib.Path(__file__).parents[1] / "integration"
    subprocess.run([sys.executable, folder / file, *names], check=True,
                   env={**os.environ, "FLOTILLA_BIN": args.bin, "TEMPORAL": args.temporal})


@check
async def explain_real_server(args):
    """Why workflows of a real server do not move, in sentences."""
    workers_life(args, "test_explain.py", "Explain")


@check
async def drain_and_quiet_real_server(args):
    """Workers of a real server: stopped with work in their hands, made quiet, resumed."""
    workers_life(args, "test_lifecycle.py", "Lifecycle.test_fifty_running_on_threads",
                 "Lifecycle.test_fifty_running_in_processes", "Lifecycle.test_quiet_and_resume")


@check
async def burst_real_server(args):
    """--check and --burst against a real server."""
    workers_life(args, "test_modes.py", "Modes.test_check_good", "Modes.test_burst_of_nothing",
                 "Modes.test_burst_does_all_that_waits", "Modes.test_burst_leaves_what_waits_for_others")


@workflow.defn
class Poisoned:
    """An activity that kills its executor at each attempt, and what the workflow sees of it."""

    @workflow.run
    async def run(self, parameters: dict) -> dict:
        try:
            await workflow.execute_activity(
                "failure_testing", parameters, task_queue="poison-cpu", start_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=50))
        except ActivityError as error:
            poison = error.cause
            return {"type": poison.type, "non_retryable": poison.non_retryable, "details": poison.details[0],
                    "state": error.retry_state.name, "cause": poison.cause and poison.cause.type}
        return {}


async def poison(fleet, _args):
    """The third crash is a PoisonTask, caused by the crash; the same input in another workflow is one at once."""
    client = await fleet.client()
    fleet.worker("cpu-activity-worker", "loadtest", "poison-cpu", executor__workers=1, max_concurrent_activities=1)
    parameters = {"failure_rate": 1, "kinds": "crash", "delay_ms": 0}
    async with Worker(client, task_queue="py", workflows=[Poisoned]):
        for cause in ["ApplicationCrash", None]:
            seen = await asyncio.wait_for(client.execute_workflow(Poisoned.run, parameters, id=new_id("poison"),
                                                                  task_queue="py"), 30)
            assert (seen["type"], seen["non_retryable"], seen["cause"]) == ("PoisonTask", True, cause), seen
            assert (seen["details"]["crashes"], seen["details"]["signal"]) == (3, 11), seen
            assert seen["state"] == "NON_RETRYABLE_FAILURE", seen


check_on_both(poison, "poison_on_engine", "poison_on_real_server")
# Local activities of C workflows; runs with them that a Python worker begins and a C worker ends.
check_on_both(local.run, "local_activities_engine", "local_activities_real_server")
check_on_both(codecs_check.run, "sealed_payloads_engine", "sealed_payloads_real_server")
check_on_both(headers.run, "headers_engine", "headers_real_server")
# Signals, queries and updates of C workflows.
check_on_both(messages.run, "messages_engine", "messages_real_server")
check_on_both(messages.of_the_only_task, "messages_of_the_only_task_engine", "messages_of_the_only_task_real_server")
check_on_both(messages.handed_over, "messages_handed_over_engine", "messages_handed_over_real_server")
check_on_both(messages.run_without_cache, "messages_without_cache_engine", "messages_without_cache_real_server")
# Children, external executions, continue-as-new, patches, side effects, attributes of C workflows.
check_on_both(builds.run, "builds_engine", "builds_real_server")


@check
async def versioned_deployment_real_server(args):
    with Fleet(args.bin, args.temporal) as fleet:
        fleet.real_server()
        await builds.versioned(fleet, args)


check_on_both(entities.run, "entities_engine", "entities_real_server")
check_on_both(entities.run_without_cache, "entities_without_cache_engine", "entities_without_cache_real_server")
# Every feature of the workflow API, with a cache, without, and with evictions by chance.
for name, way in features.ways():
    check_on_both(way, f"features{name}_engine", f"features{name}_real_server")
check_on_both(scaling.depth, "queue_depth_engine", "queue_depth_real_server")
check_on_both(tracing.one_trace, "one_trace_engine", "one_trace_real_server")
check_on_both(local.handed_over, "local_activities_handed_over_engine", "local_activities_handed_over_real_server")
# `flotilla replay` and the official core judge the same histories.
check_on_both(oracle.judge, "oracle_engine", "oracle_real_server")


@check
async def update_with_start_real_server(args):
    """An update in the first task: our engine does not serve the call that asks for it."""
    with Fleet(args.bin, args.temporal) as fleet:
        fleet.real_server()
        await messages.with_start(fleet, args)


@check
async def prometheus_dashboards_and_alerts(args):
    """A real Prometheus scrapes a fleet under load: each query of the dashboards and alerts returns data."""
    await monitoring.dashboards_and_alerts(args)


@check
async def prometheus_depth_real_server(args):
    """The depth of a real server's queues, as the supervisor tells Prometheus."""
    await monitoring.depth_on_real_server(args)


def check_sdk(language, command):
    """All that an official SDK can do, on our engine and on a real server: tests/interop/sdks."""
    async def play(fleet, args):
        await fleet.client()  # so it is there
        child = await asyncio.create_subprocess_exec(*command(args), fleet.target)
        assert await child.wait() == 0, f"the {language} SDK is not content"
    check_on_both(play, f"sdk_{language}_engine", f"sdk_{language}_real_server")


check_sdk("python", lambda args: [sys.executable, pathlib.Path(__file__).parent / "sdks/python/sdk.py"])
check_sdk("go", lambda args: [f"{args.peers}/bin/sdk-go"])
check_sdk("typescript", lambda args: ["node", f"{args.peers}/sdk-typescript/sdk.js"])


@check
async def command_line(args):
    """What the temporal command line prints, command by command, on our engine and on the real server."""
    with Fleet(args.bin) as ours, Fleet(args.bin, args.temporal) as real, tempfile.TemporaryDirectory() as folder:
        ours.engine()
        # `temporal worker ...` is served here always, there when it is switched on.
        real.real_server("--dynamic-config-value", "frontend.ListWorkersEnabled=true",
                         "--dynamic-config-value", "frontend.WorkerHeartbeatsEnabled=true")
        differ = await commands.compare(ours, real, args.temporal, folder)
    assert not differ, "\n" + differ


@check
async def histories_agree(args):
    """The same scenarios on our engine and on the real server: histories differ in ids and times only."""
    with Fleet(args.bin) as ours, Fleet(args.bin, args.temporal) as real:
        ours.engine()
        real.real_server()
        differ = await histories.compare(await ours.client(), await real.client())
    assert not differ, "\n".join(differ)


@check
async def differential(args):
    """Scenarios by raw gRPC on our engine and on a real server at once: tests/interop/differential."""
    script = pathlib.Path(__file__).parent / "differential/run.py"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, script, "--bin", args.bin, "--temporal", args.temporal])
    assert done.returncode == 0, "answers differ from the real server's"


@check
async def killed_engine_loses_nothing(args):
    with Fleet(args.bin) as fleet:
        await kill.kills(fleet)


@check
async def time_skipping_environment(args):
    engine = str(pathlib.Path(args.bin) / "flotilla-engine")
    await time_skipping.skips(engine)
    await time_skipping.delayed(engine)
    await time_skipping.schedules(engine)
    await time_skipping.crons(engine)


@check
async def time_skipping_engine(args):
    with Fleet(args.bin) as fleet:
        fleet.engine("--time-skipping")
        await time_skipping.unlocked(fleet.target)


@check
async def recorded_traces(args):
    """The recorded answers of a real server, where the recording lies beside this checkout."""
    await histories.recorded(args)


async def run_here(args):
    try:
        await CHECKS[args.names[0]](args)
        return True
    except Exception:
        traceback.print_exc()
        return False


async def run_apart(args, name, turns):
    """One check in a process of its own: did it pass? What it said is printed at its end."""
    async with turns:
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--bin", args.bin, "--temporal", args.temporal, "--peers", args.peers, "--here", name,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said, _ = await child.communicate()
        passed = child.returncode == 0
        print(f"{'ok   ' if passed else 'FAIL '} {name} ({time.monotonic() - began:.1f} s)\n" +
              said.decode(errors="replace"), end="", flush=True)
        return passed


async def run(args):
    """As many at once as there are cores. In CI up to three that fail are run again alone, and named when they pass."""
    names = args.names or list(CHECKS)
    turns = asyncio.Semaphore(os.cpu_count())
    passed = await asyncio.gather(*(run_apart(args, name, turns) for name in names))
    failed = [name for name, good in zip(names, passed) if not good]
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed{': ' if failed else ''}{', '.join(failed)}", flush=True)
    if failed and os.environ.get("CI") == "true" and len(failed) <= 3:
        alone = asyncio.Semaphore(1)
        again = [await run_apart(args, name, alone) for name in failed]
        if all(again):
            print(f"UNSTEADY: {', '.join(failed)} failed among the others and passed alone")
            return True
    return not failed


def main():
    logging.disable(logging.ERROR)  # the failures of Kitchen are part of the check
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="folder of the built programs")
    parser.add_argument("--temporal", required=True, help="the real server's command line")
    parser.add_argument("--peers", default="build/interop", help="folder of the programs on other SDKs (scripts/peers.sh)")
    parser.add_argument("--here", action="store_true", help="one check, in this process")
    parser.add_argument("names", nargs="*", choices=[[], *CHECKS], metavar="NAME")
    args = parser.parse_args()
    passed = asyncio.run(run_here(args) if args.here else run(args))
    sys.stdout.flush()
    os._exit(not passed)  # no tearing down: the SDK's threads crash that now and then


if __name__ == "__main__":
    main()
