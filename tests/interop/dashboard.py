#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a headless Chromium, with a real fleet under load behind it: every section has data, nothing that a
peer sends becomes markup, buttons work with the token and not without, nothing is wider than a phone, all text can be
read in both colour schemes, a supervisor that stops answering is seen, and the page does not grow.
usage: dashboard.py --bin FOLDER [--minutes N] [--shots FOLDER]"""
import argparse
import contextlib
import json
import pathlib
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from devtools import CONTRAST, Chromium  # noqa: E402
from fleet import Process  # noqa: E402

HOSTILE = "<img src=x onerror=document.title='owned'>"
SCRIPT = "<script>document.title='owned'</script>"

SECTIONS = """
(() => ({
  tiles: [...document.querySelectorAll(".tile b")].map(b => b.textContent),
  roles: document.querySelectorAll("#t-roles tbody tr").length,
  processes: document.querySelectorAll("#t-processes tbody tr").length,
  replicas: document.querySelectorAll("#t-replicas tbody tr").length,
  queues: [...document.querySelectorAll("#t-queues tbody tr")].filter(r => /\\d/.test(r.cells[2]?.textContent)).length,
  activities: document.querySelectorAll("#t-activities tbody tr").length,
  failures: document.querySelectorAll("#t-failures tbody .id").length,
  events: document.querySelectorAll("#t-events tbody tr").length,
  lines: [...document.querySelectorAll(".chart")].map(c => [...c.querySelectorAll("svg > path")].filter(p => (p.getAttribute("d") || "").length > 12).length),
}))()
"""


def say(*words):
    print(*words, flush=True)


class Fleet:
    """A supervisor with an engine and three workers in a folder of its own, and load until the end."""

    def __init__(self, bins):
        self.bins = pathlib.Path(bins).resolve()
        self.folder = tempfile.TemporaryDirectory(prefix="flotilla-dashboard-")
        path = pathlib.Path(self.folder.name)
        (path / "worker.yaml").write_text("modules: [{path: echo}, {path: loadtest}]\n")
        workers = [("flows", "workflow-worker", "benchmark", ""),
                   ("io", "io-activity-worker", "benchmark", ""),
                   ("cpu", "cpu-activity-worker", "benchmark-cpu",
                    f", executor.workers: 2, executor.pin: false, identity: \"{HOSTILE}\"")]
        listed = "".join(f"  - {{name: {name}, program: {self.bins / program}, config: {path / 'worker.yaml'}, set: "
                         f"{{task_queue: {queue}, health.port: 0, metrics.port: 0{more}}}}}\n"
                         for name, program, queue, more in workers)
        (path / "fleet.yaml").write_text(
            f"state_dir: {path / 'state'}\nengine: {{program: {self.bins / 'flotilla-engine'}, listen: \"127.0.0.1:0\", "
            f"http: \"\"}}\nworkers:\n{listed}health: {{port: 0}}\nmetrics: {{port: 0}}\n"
            "dashboard: {workflow_url: \"https://temporal.example/namespaces/{namespace}/workflows/{workflow_id}/{run_id}\"}\n")
        self.supervisor = Process("flotilla-supervisor", [self.bins / "flotilla-supervisor", "--local", "-c", path / "fleet.yaml"])
        self.url = "http://" + self.supervisor.address("http")
        self.until(lambda f: f["ready"], "the fleet")
        self.token = (path / "state" / "control.token").read_text().strip()
        self.stopping, self.loads = threading.Event(), []
        for options in (["--type", "ChainWorkflow", "-c", "300", "--rate", "20"],
                        ["--tasks", "60", "--concurrency", "2", "--type", "io_simulation"],
                        ["--tasks", "40", "--concurrency", "1", "--type", "cpu_intensive", "-p", "queue=benchmark-cpu"],
                        ["--tasks", "60", "--concurrency", "2", "--type", "failure_testing", "-p", "timeout_ms=500", "--id-prefix", SCRIPT]):
            thread = threading.Thread(target=self.load, args=(options,), daemon=True)
            thread.start()
            self.loads.append(thread)

    def load(self, options):
        number = 0
        while not self.stopping.is_set():
            number += 1
            args = [a + str(number) + "-" if a == SCRIPT else a for a in options]
            load = Process("load", [self.bins / "flotilla", "load", "--address", self.get("/v1/fleet")["server"],
                                    "--task-queue", "benchmark", "--quiet", *args])
            while load.child.poll() is None:
                if self.stopping.wait(0.1):
                    load.child.kill()
            load.reader.join(10)
            load.child.stdout.close()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.load(answer)

    def post(self, path, body, **headers):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST",
                                         headers={"Content-Type": "application/json", **headers})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def until(self, holds, what, timeout=40):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if holds(self.get("/v1/fleet")):
                    return
            time.sleep(0.1)
        raise AssertionError(f"{what}: not within {timeout} s")

    def process(self, name):
        return next((p for p in self.get("/v1/fleet")["processes"] if p["name"] == name), {})

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        for thread in self.loads:
            thread.join(20)
        self.supervisor.child.send_signal(signal.SIGCONT)
        code = self.supervisor.stop()
        if exc[0] or code:
            print("--- supervisor", *self.supervisor.output[-40:], sep="\n")
        self.folder.cleanup()
        assert exc[0] or code == 0, f"the supervisor ended with {code}"


# ---- the checks ----

def headers(fleet):
    with urllib.request.urlopen(fleet.url + "/", timeout=20) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = answer.read().decode()
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy
    assert "http://" not in text and "https://" not in text, "the page names something outside"


def open_page(fleet, page, width=1440, dark=False):
    page.size(width, 900, dark, width < 600)
    page.open(fleet.url + "/")
    page.until("document.getElementById('live').textContent === 'live' && !document.hidden", "live")
    page.until("document.querySelectorAll('#t-activities tbody tr').length >= 3 && "
               "document.querySelectorAll('#t-failures tbody .id').length >= 2 && "
               "document.querySelectorAll('#t-queues tbody tr').length >= 3 && "
               "[...document.querySelectorAll('.chart svg > path')].filter(p => (p.getAttribute('d') || '').length > 12).length >= 12",
               "data in every section", 60)


def sections(_, page):
    page.until("[...document.querySelectorAll('.tile b')].every(b => /\\d/.test(b.textContent))", "figures in all tiles")
    seen = page.run(SECTIONS)
    say("  ", json.dumps(seen))
    assert seen["roles"] == 4 and seen["processes"] == 4 and seen["replicas"] == 3, seen
    assert seen["queues"] >= 3 and seen["activities"] >= 3 and seen["failures"] >= 2 and seen["events"] >= 5, seen
    assert sum(lines > 0 for lines in seen["lines"]) >= 7, seen
    page.run("document.querySelectorAll('#range button')[2].click()")
    page.until("document.querySelector('#range [aria-pressed=true]').textContent === '1 h'", "the range")
    page.run("document.querySelectorAll('#range button')[0].click()")


def text_only(_, page):
    page.until(f"document.getElementById('t-processes').textContent.includes({json.dumps(HOSTILE)})", "the name as text")
    page.until(f"document.getElementById('t-failures').textContent.includes({json.dumps(SCRIPT)})", "the id as text")
    found = page.run("({scripts: document.scripts.length, images: document.images.length, title: document.title, "
                     "handlers: document.querySelectorAll('[onerror], [onclick], [style*=expression]').length})")
    assert found == {"scripts": 1, "images": 1, "title": found["title"], "handlers": 0}, found
    assert found["title"].endswith("Flotilla"), found
    link = page.run("document.querySelector('#t-failures a').href")
    assert link.startswith("https://temporal.example/namespaces/default/workflows/%3Cscript%3E"), link
    assert page.run("""import('/dashboard/views.js').then(v => v.workflowLink('javascript:alert({workflow_id})',
        {workflow_id: '1'}, {processes: []}))""") is None


def press(page, row, button="Steer"):
    page.until(f"[...document.querySelectorAll('button.steer')].some(b => b.ariaLabel === '{button} {row}' && "
               "!b.hidden && (b.click(), true))", f"{button} {row}")


def choose(page, key):
    page.until(f"Boolean(document.getElementById('do-{key}'))", f"the choice {key}")
    page.run(f"document.getElementById('do-{key}').click()")
    assert not page.run("document.querySelector('dialog button[type=submit]').disabled")
    page.run("document.querySelector('dialog button[type=submit]').click()")


def result(page, what):
    text = page.until("document.querySelector('dialog .results')?.textContent", what)
    ok = page.run("document.querySelectorAll('dialog .results .status.bad').length === 0")
    page.run("[...document.querySelectorAll('dialog button')].at(-1).click()")
    assert ok, f"{what}: {text}"
    return text


def give_token(page, token):
    page.until("Boolean(document.getElementById('token'))", "the question for the token")
    page.run(f"document.getElementById('token').value = {json.dumps(token)}")
    page.run("document.querySelector('dialog button[type=submit]').click()")


def buttons(fleet, page):
    quiet = {"target": "all", "command": "quiet"}
    assert fleet.post("/v1/commands", quiet) == 401
    assert fleet.post("/v1/commands", quiet, Authorization="Bearer not-the-token") == 403
    assert fleet.post("/v1/commands", quiet, Authorization="Bearer " + fleet.token, Host="evil.example") == 403
    assert fleet.post("/v1/commands", quiet, Authorization="Bearer " + fleet.token, Origin="http://evil.example") == 403
    assert fleet.process("io")["worker_state"] == "running"

    before = len(page.complaints)
    press(page, "io")
    give_token(page, "a-wrong-token-0000")
    choose(page, "quiet")
    page.until("document.getElementById('token') && document.querySelector('dialog').textContent.includes('token')", "a refusal")
    assert page.run("sessionStorage.getItem('flotilla.token')") is None
    assert fleet.process("io")["worker_state"] == "running"
    refused = page.complaints[before:]  # the browser writes of the 403 itself
    assert all("403" in text for text in refused), refused
    del page.complaints[before:]

    give_token(page, fleet.token)
    choose(page, "quiet")
    result(page, "quiet")
    page.until("[...document.querySelectorAll('#t-processes tr')].some(r => /^io/.test(r.textContent) && r.textContent.includes('quiet'))", "io is quiet")
    press(page, "io")
    choose(page, "resume")
    result(page, "resume")
    fleet.until(lambda f: any(p["name"] == "io" and p.get("worker_state") == "running" for p in f["processes"]), "io resumed")
    press(page, "flows")
    choose(page, "loglevel")
    result(page, "log level")
    press(page, "io", "Scale")
    page.until("Boolean(document.querySelector('dialog input[type=number]'))", "the number")
    page.run("(i => { i.value = '2'; i.dispatchEvent(new Event('input', {bubbles: true})); })(document.querySelector('dialog input[type=number]'))")
    page.run("document.querySelector('dialog button[type=submit]').click()")
    result(page, "scale")
    page.until("document.getElementById('t-processes').textContent.includes('io-2')", "the second replica")
    assert page.run("JSON.stringify(localStorage)").find(fleet.token) < 0
    page.run("document.getElementById('unlock').click()")
    assert page.run("sessionStorage.length") == 0


def drain(fleet, page):
    press(page, "io-2")
    give_token(page, fleet.token)
    pid = fleet.process("io-2")["pid"]
    choose(page, "drain")
    result(page, "drain")
    fleet.until(lambda f: all(p["pid"] != pid for p in f["processes"]), "the drained process has ended")


def stale(fleet, page):
    fleet.supervisor.child.send_signal(signal.SIGSTOP)
    page.until("!document.getElementById('banner').hidden", "the page says that it is stale")
    assert page.run("document.getElementById('live').textContent") == "no connection"
    fleet.supervisor.child.send_signal(signal.SIGCONT)
    page.until("document.getElementById('banner').hidden && document.getElementById('live').textContent === 'live'", "live again")


def keyboard(_, page):
    page.run("document.activeElement.blur(), scrollTo(0, 0)")
    seen = []
    for _step in range(60):
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        page.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.append(page.run("document.activeElement.id || document.activeElement.className || document.activeElement.textContent.slice(0, 20)"))
    for wanted in ("skip", "theme", "unlock", "find", "steer-all"):
        assert wanted in seen, (wanted, seen)
    assert any("steer" in name for name in seen), seen
    bare = page.run("[...document.querySelectorAll('button, input, select, [role=region], nav')].filter(e => "
                    "!(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)")
    assert not bare, bare


def looks(fleet, page, shots):
    for width, dark in ((1440, False), (1440, True), (390, False), (390, True)):
        open_page(fleet, page, width, dark)
        wide = page.run("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels wide in a window of {width}"
        found = page.run(CONTRAST)
        assert found["count"] > 100 and not found["low"], found
        say(f"   {width} px {'dark' if dark else 'light'}: {found['count']} texts readable, {wide} wide")
        if shots:
            page.shot(pathlib.Path(shots) / f"dashboard-{width}-{'dark' if dark else 'light'}.png")


def soak(fleet, page, minutes):
    """The page under load: what it uses after a warm-up, and at the end. Both after the garbage is collected."""
    open_page(fleet, page)
    end, samples = time.monotonic() + minutes * 60, []
    pause = max(2.0, minutes * 60 / 20)
    while time.monotonic() < end:
        time.sleep(pause)
        samples.append(page.memory())
        if minutes > 1:
            say("  ", json.dumps(samples[-1]))
    warm, last = samples[len(samples) // 2], samples[-1]
    say(f"   {minutes} min: heap {warm['heap'] / 1e6:.2f} -> {last['heap'] / 1e6:.2f} MB, nodes {warm['nodes']} -> "
        f"{last['nodes']}, listeners {warm['listeners']} -> {last['listeners']}")
    assert last["heap"] < warm["heap"] * 1.3 + 2e6, (warm, last)
    assert last["nodes"] < warm["nodes"] * 1.3 + 1500 and last["listeners"] < warm["listeners"] * 1.3 + 100, (warm, last)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bin", required=True)
    options.add_argument("--chromium", default="chromium")
    options.add_argument("--minutes", type=float, default=0.35)
    options.add_argument("--shots")
    options = options.parse_args()
    with Fleet(options.bin) as fleet, Chromium(options.chromium) as browser:
        page = browser.page()
        headers(fleet)
        open_page(fleet, page)
        for check in (sections, text_only, keyboard, buttons, drain, stale):
            say(check.__name__)
            check(fleet, page)
            assert not page.complaints, page.complaints
        say("looks")
        looks(fleet, page, options.shots)
        say("soak")
        soak(fleet, page, options.minutes)
        assert not page.complaints, page.complaints
    say("dashboard: ok")


if __name__ == "__main__":
    main()
