# SPDX-License-Identifier: Apache-2.0
"""The engine's web page in a headless Chromium: what is shown of workflows that the Python SDK ran, that nothing of what
they are called becomes markup, that it works without script and under its policy, on a phone, in light and dark."""
import asyncio
import json
import os
import pathlib
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from devtools import CONTRAST, Chromium
from fleet import Process

HOSTILE = "<img src=x onerror=document.title='owned'>\"'&\u202e\u2066\x7f"
SCRIPT = "</pre><script>document.title='owned'</script>"
QUEUE = "orders"


@activity.defn
async def prepare(order: str) -> dict:
    return {"order": order, "text": SCRIPT, "lines": [1, 2, {"three": None}]}


@activity.defn
async def fetch_prices(order: str) -> int:
    if activity.info().attempt < 3:
        raise ApplicationError(SCRIPT, type="NoPrices")
    return 42


@activity.defn
async def never(order: str) -> None:
    activity.heartbeat({"at": SCRIPT})
    raise ApplicationError("the printer is on fire", type="Printer")


@workflow.defn
class Parcel:
    @workflow.run
    async def run(self, order: str) -> bytes:
        await workflow.sleep(0.05)
        return b"\x00\xff\xfe"


@workflow.defn
class Order:
    def __init__(self):
        self.go = False

    @workflow.signal
    def paid(self, how: str):
        self.go = True

    @workflow.update
    async def rename(self, name: str) -> str:
        await workflow.sleep(0.02)
        return name

    @workflow.run
    async def run(self, order: str) -> dict:
        options = {"start_to_close_timeout": timedelta(seconds=20),
                   "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=50), maximum_attempts=5)}
        details = await workflow.execute_activity(prepare, order, **options)
        await workflow.wait_condition(lambda: self.go)
        prices, _ = await asyncio.gather(workflow.execute_activity(fetch_prices, order, **options), workflow.sleep(0.2))
        await workflow.execute_child_workflow(Parcel.run, order, id=f"parcel-{order}")
        if order == "stuck":
            await workflow.execute_activity(never, order, start_to_close_timeout=timedelta(seconds=20),
                                            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=30)))
        return {"prices": prices, **details}


def say(address, path="/", headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", headers=headers or {}), timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


async def some_workflows(client):
    async with Worker(client, task_queue=QUEUE, workflows=[Order, Parcel], activities=[prepare, fetch_prices, never],
                      workflow_runner=UnsandboxedWorkflowRunner(), identity=HOSTILE):
        first = await client.start_workflow(Order.run, "first", id="order-first", task_queue=QUEUE)
        assert await first.execute_update(Order.rename, "second-hand") == "second-hand"
        await first.signal(Order.paid, "cash")
        await first.result()
        stuck = await client.start_workflow(Order.run, "stuck", id="order-stuck", task_queue=QUEUE,
                                            memo={"note": SCRIPT})
        await stuck.signal(Order.paid, "cash")
        while not any(pending.activity_type.name == "never" and pending.HasField("last_failure")
                      for pending in (await stuck.describe()).raw_description.pending_activities):
            await asyncio.sleep(0.05)
    await client.start_workflow(HOSTILE, SCRIPT, id=HOSTILE, task_queue=HOSTILE)
    await client.start_workflow("Later", id="later", task_queue="nobody", start_delay=timedelta(hours=1))
    cancelled = await client.start_workflow("Gone", id="gone", task_queue="nobody")
    await cancelled.terminate(reason=SCRIPT)


async def many_workflows(client, count):
    slots = asyncio.Semaphore(64)

    async def one(i):
        async with slots:
            await client.start_workflow("Waiting", i, id=f"waiting-{i:05}", task_queue="nobody")
    await asyncio.gather(*(one(i) for i in range(count)))


def assert_calm(page):
    assert not page.complaints, page.complaints
    assert page.run("document.title").endswith("Flotilla engine"), page.run("document.title")
    assert page.run("document.images.length") == 1 and page.run("document.scripts.length") == 1


def look(page, url, shots, name):
    """In both colours, on a desk and on a phone: nothing is wider than the screen, all text can be read."""
    for width, dark in ((1280, False), (1280, True), (360, True)) if name == "run" or shots else ((1280, True), (360, False)):
        page.size(width, 900, dark, width < 600)
        page.open(url)
        page.until("!document.getElementById('tools').hidden", "the script")
        if shots:
            page.shot(pathlib.Path(shots) / f"web-{name}-{width}-{'dark' if dark else 'light'}.png")
        wide = page.run("[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 "
                        "&& !e.closest('.scroll, pre, .skip')).map(e => e.outerHTML.slice(0, 80))")
        assert page.run("document.documentElement.scrollWidth") <= width, (name, width, wide)
        found = page.run(CONTRAST)
        assert found["count"] > 5 and not found["low"], (name, dark, found)
        assert_calm(page)


def text(page, selector="main"):
    return page.run(f"document.querySelector({json.dumps(selector)}).innerText")


def of_empty(page, base, shots):
    look(page, base + "/", shots, "empty")
    assert "No workflow has been started" in text(page)
    page.open(base + "/queues")
    assert "No task queue is in use" in text(page)


def of_list(page, base, shots):
    look(page, base + "/", shots, "list")
    rows = page.run("[...document.querySelectorAll('tbody tr')].map(r => r.innerText)")
    assert any("order-first" in row and "Completed" in row for row in rows), rows
    assert page.run(f"[...document.querySelectorAll('tbody a')].some(a => a.textContent.startsWith({json.dumps(HOSTILE[:20])}))")
    assert not page.run("/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.documentElement.textContent)")
    chips = page.run("Object.fromEntries([...document.querySelectorAll('.chip')].map(c => c.innerText.split(' ')))")
    assert chips["Completed"] == "3" and chips["Terminated"] == "1" and chips["Running"] == "3", chips
    page.run("[...document.querySelectorAll('.chip')].find(c => c.innerText.startsWith('Terminated')).click()")
    page.until("location.search.includes('Terminated') && document.querySelectorAll('tbody tr').length === 1", "one status")
    page.open(base + "/?query=" + urllib.parse.quote("WorkflowType = 'Parcel'"))
    assert page.run("document.querySelectorAll('tbody tr').length") == 2
    page.open(base + "/?query=" + urllib.parse.quote("Nonsense <b> = 'x"))
    assert "The list cannot be shown" in text(page), text(page)
    assert page.run("document.querySelector('input[name=query]').value") == "Nonsense <b> = 'x"
    assert_calm(page)


def of_one(page, base, shots):
    look(page, base + "/workflow?id=order-first", shots, "run")
    kinds = page.run("[...document.querySelectorAll('.timeline th .kind')].map(k => k.innerText)")
    assert sorted(kinds) == ["activity", "activity", "child", "signal", "timer", "timer", "update"], kinds
    sections = text(page)
    assert '"first"' in sections and '"prices": 42' in sections and SCRIPT in sections, sections
    assert page.run("document.querySelectorAll('.timeline rect.fine').length") >= 5
    page.run("document.querySelector('.timeline a').click()")
    page.until("Boolean(document.querySelector('tr:target details[open] dl'))", "the event that the bar begins with")
    child = page.run("document.querySelector('.timeline a[href^=\"/workflow\"]').href")
    page.open(child)
    assert "binary/plain, 3 B" in text(page), text(page)
    look(page, base + "/workflow?id=order-stuck", shots, "stuck")
    assert "the printer is on fire" in text(page) and "Pending activities" in text(page)
    page.open(base + "/workflow?id=" + urllib.parse.quote(HOSTILE))
    assert page.run("document.querySelector('h1 .id').textContent").startswith(HOSTILE[:40])
    assert "no worker polls" in text(page, "#task") and "Scheduled" in text(page, "#task"), text(page, "#task")
    page.open(base + "/workflow?id=later")
    assert "Waits to start" in text(page) and "start delay" in text(page), text(page)
    page.open(base + "/workflow?id=gone")
    assert SCRIPT in text(page)
    assert_calm(page)
    before = len(page.complaints)
    page.open(base + "/workflow?id=nope")
    assert "cannot be shown: " in text(page)
    del page.complaints[before:]  # the browser writes of the 404 itself


def of_queues(page, base, shots):
    page.open(base + "/queues")
    while QUEUE not in text(page) or HOSTILE[:40] not in text(page):  # the poll is on its way
        page.open(base + "/queues")
    look(page, base + "/queues", shots, "queues")
    assert "nobody" in text(page) and text(page).count(HOSTILE[:40]) >= 2, text(page)  # a queue, a poller


def of_many(page, base, shots, count):
    look(page, base + "/?query=" + urllib.parse.quote("WorkflowType = 'Waiting'"), shots, "many")
    assert f"All {count}" in text(page, ".chips"), text(page, ".chips")
    seen = set()
    for _ in range(3):
        seen |= set(page.run("[...document.querySelectorAll('tbody a')].map(a => a.textContent)"))
        link = page.run("document.querySelector('a[rel=next]').href")
        page.open(link)
    assert len(seen) == 150, len(seen)
    assert_calm(page)


def of_no_script(page, base):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(base + "/workflow?id=order-first")
    assert page.run("document.getElementById('tools').hidden")
    assert "fetch_prices" in text(page) and "UTC" in text(page, "footer")
    page.call("Emulation.setScriptExecutionDisabled", value=False)


def of_comfort(page, base):
    page.open(base + "/workflow?id=order-stuck")
    page.run("document.querySelector('#tools button').click()")
    page.run("document.querySelector('#tools button').click()")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 25)"
    page.open(base + "/")
    assert page.run("document.documentElement.dataset.theme") == "dark"
    page.run("localStorage.clear()")


def of_headers(address):
    status, headers, body = say(address)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8", headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy
    assert "style=" not in body and "onclick" not in body
    # A name that somebody else has given to our address reads nothing.
    assert say(address, headers={"Host": "rebound.example"})[0] == 403
    assert say(address, headers={"Host": "localhost:1"})[0] == 200
    assert say(address, "/?page=zz")[0] == 400
    assert say(address, "/workflow?id=%zz")[0] == 400 and say(address, "/workflow")[0] == 400
    for path in ("/", "/queues", "/schedules"):
        assert say(address, path + "?namespace=nope")[0] == 404, path
    for method in ("POST", "PUT", "DELETE"):
        request = urllib.request.Request(f"http://{address}/", method=method, data=b"")
        try:
            urllib.request.urlopen(request, timeout=30)
            raise AssertionError(method)
        except urllib.error.HTTPError as refused:
            assert refused.code == 405, refused


async def deep_values(client, address):
    """Indented, this payload would take 70 MB."""
    data = ("[" * 1900 + "1," * 20000 + "1" + "]" * 1900).encode()
    await client.start_workflow("Deep", RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data)), id="deep",
                                task_queue="nobody")
    status, _, body = await asyncio.to_thread(say, address, "/workflow?id=deep")
    assert status == 200 and "the beginning of" in body and len(body) < 100_000, (status, len(body))


def engine(bin_dir, *args):
    return Process("flotilla-engine", [pathlib.Path(bin_dir) / "flotilla-engine", "--listen", "127.0.0.1:0", *args])


def when_it_is_off(bin_dir, tmp):
    keys = pathlib.Path(tmp) / "keys"
    keys.write_text("default sha256:" + "0" * 64 + "\n")
    for args, status in ((["--http", "127.0.0.1:0", "--no-web"], 404), (["--http", "0.0.0.0:0"], 404),
                         (["--http", "0.0.0.0:0", "--web"], 200), (["--http", "127.0.0.1:0", "--api-keys", str(keys)], 404)):
        process = engine(bin_dir, *args)
        port = process.address("http").rpartition(":")[2]
        assert say(f"127.0.0.1:{port}")[0] == status, args
        assert say(f"127.0.0.1:{port}", "/health")[0] == 200
        process.stop()


async def web_page(args):
    shots, count = os.environ.get("FLOTILLA_SHOTS"), int(os.environ.get("FLOTILLA_WEB_MANY", "200"))
    process = engine(args.bin, "--http", "127.0.0.1:0")
    try:
        address = process.address("http")
        base = f"http://{address}"
        client = await Client.connect(process.address("grpc"))
        with Chromium() as browser:
            page = browser.page()
            await asyncio.to_thread(of_empty, page, base, shots)
            await some_workflows(client)
            for part in (of_list, of_one):
                await asyncio.to_thread(part, page, base, shots)
            poll = asyncio.create_task(client.workflow_service.poll_workflow_task_queue(PollWorkflowTaskQueueRequest(
                namespace="default", task_queue=TaskQueue(name=QUEUE), identity=HOSTILE)))
            await asyncio.to_thread(of_queues, page, base, shots)
            poll.cancel()
            of_no_script(page, base)
            of_comfort(page, base)
            of_headers(address)
            await deep_values(client, address)
            await many_workflows(client, count)
            await asyncio.to_thread(of_many, page, base, shots, count)
    finally:
        process.stop()
    with tempfile.TemporaryDirectory() as folder:
        when_it_is_off(args.bin, folder)
