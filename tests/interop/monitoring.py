# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus beside a fleet: every query of k8s/monitoring is asked, and the two of the KEDA guide return the depth of
a backlog while it is made and while it is worked off."""
import importlib.util
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import exposition  # noqa: E402
from fleet import Fleet, free_port  # noqa: E402

DOCUMENTS = {"workflow": "document-workflow-queue", "io": "document-io-activity-queue"}
KEDA_QUERIES = {"workflow": 'temporal_workflow_task_queue_depth{queue="document-workflow-queue"}',
                "io": 'temporal_activity_task_queue_depth{queue="document-io-activity-queue"}'}
BACKLOG = 24

# Metrics that this run makes no sample of: each needs a failure that cannot be had without breaking the machine or the
# fleet. Their queries are asked all the same: they must be understood, and the name must be one of the table's.
UNPROVOKED = {
    "temporal_request_resource_exhausted_total": "no limit of the engine is reached",
    "flotilla_fleet_bad_frames_total": "no peer sends what is no report",
    "flotilla_fleet_peers_refused_total": "no peer without a key",
    "flotilla_fleet_snapshot_gaps_total": "no report is lost",
    "flotilla_reports_dropped_total": "the supervisor is never away",
    "flotilla_rejects_total": "nothing is refused",
    "flotilla_executor_stuck": "no thread that does not stop",
    "flotilla_metrics_series_dropped_total": "no metric has too many label sets",
    "flotilla_activity_read_bytes_total": "what was just written is read from memory",
}


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_for(condition, what, timeout=60):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.1)
    return value


def get_json(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return json.load(answer)


class Prometheus:
    """Debian's, scraping the supervisor, the workers and the engine each second."""

    def __init__(self, fleet, jobs):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=fleet.folder.name))
        self.address = f"127.0.0.1:{free_port()}"
        scrapes = [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()]
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                  "rule_files": [str(ROOT / "k8s/monitoring/rules.yaml")], "scrape_configs": scrapes}
        (self.folder / "prometheus.yml").write_text(json.dumps(config))  # which is YAML too
        self.targets = sum(len(group["targets"]) for targets in jobs.values() for group in targets)
        fleet.start("prometheus", ["prometheus", f"--config.file={self.folder}/prometheus.yml", "--log.level=warn",
                                   f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address={self.address}"])
        wait_for(self.ready, "Prometheus' readiness")
        wait_for(self.scraped, "the first scrape of each target")

    def api(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def scraped(self):
        active = self.api("targets", state="active")["activeTargets"]
        bad = [t for t in active if t["health"] == "down"]
        assert not bad, bad
        return len(active) == self.targets and all(t["health"] == "up" for t in active)

    def query(self, text):
        """[(labels, number)] of an instant query."""
        data = self.api("query", query=text)
        assert data["resultType"] == "vector", data
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]


def start_fleet(fleet, args, real_server):
    """The supervisor with everything below it; its address, and what its processes say of themselves."""
    folder = pathlib.Path(fleet.folder.name)
    modules = pathlib.Path(args.bin).resolve().parent / "tests/modules"
    workers = [("workflow", "workflow-worker", DOCUMENTS["workflow"], "document", {}),
               ("io", "io-activity-worker", DOCUMENTS["io"], "document", {}),
               ("cpu", "cpu-activity-worker", "document-cpu-activity-queue", "document", {"executor.workers": 1}),
               ("load-workflow", "workflow-worker", "benchmark", "loadtest", {}),
               ("load-io", "io-activity-worker", "benchmark", "loadtest", {}),
               ("load-cpu", "cpu-activity-worker", "benchmark-cpu", "loadtest",
                {"executor.workers": 1, "executor.max_jobs": 5}),
               ("local", "workflow-worker", "local", f"{modules}/local.so", {})]
    env = {"FLOTILLA_BLOB_DIR": f"{folder}/blobs", "DATABASE_URL": f"{folder}/documents.db"}
    for name, _, queue, module, _ in workers:
        (folder / f"{name}.yaml").write_text(f"task_queue: {queue}\nmodules: [{{path: {module}, unchecked: true}}]\nhealth: {{port: 0}}\n"
                                             "metrics: {port: 0}\nsupervisor: {interval: 500ms}\n")
    listed = [{"name": name, "program": program, "config": f"{name}.yaml", "env": env, "set": more}
              for name, program, _, _, more in workers]
    engine = {"enabled": False} if real_server else {"listen": f"127.0.0.1:{free_port()}", "http": f"127.0.0.1:{free_port()}"}
    config = {"state_dir": f"{folder}/state", "engine": engine, "workers": listed, "health": {"port": 0},
              "metrics": {"port": 0}, "scaling": {"backlog_interval": "250ms"}, "restart": {"min_backoff": "100ms"}}
    if real_server:
        config["server"] = {"address": fleet.target}
    text = re.sub(r'"(\d+m?s)"', r"\1", json.dumps(config))  # a duration has no quotes
    (folder / "fleet.yaml").write_text(text)
    supervisor = fleet.start("supervisor", [fleet.bin / "flotilla-supervisor", "--local", "--config", folder / "fleet.yaml"])
    http = supervisor.address("http")
    wait_for(lambda: len(processes(http)) == len(workers) and all(p["ready"] for p in processes(http)), "a ready fleet")
    fleet.target = get_json(http, "/v1/fleet")["server"]
    return http, engine.get("http")


def processes(http):
    """The workers that report."""
    return [p for p in get_json(http, "/v1/fleet")["processes"] if p.get("role") != "engine" and p.get("identity")]


def flotilla(fleet, *args, ok=True):
    done = subprocess.run([str(fleet.bin / "flotilla"), args[0], "--address", fleet.target, *map(str, args[1:])],
                          capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not ok, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


def scrape_jobs(http, engine_http):
    workers = [{"targets": [p["http"]], "labels": {"role": p["role"], "identity": p["identity"]}} for p in processes(http)]
    jobs = {"flotilla": [{"targets": [http]}], "flotilla-workers": workers}
    if engine_http:
        jobs["flotilla-engine"] = [{"targets": [engine_http]}]
    return jobs


# ---- a backlog, as the KEDA guide's two queries see it ----

def depth(prometheus, kind):
    found = prometheus.query(KEDA_QUERIES[kind])
    assert len(found) <= 1, f"KEDA refuses a query with more than one result: {found}"
    return found[0][1] if found else None


def reaches(prometheus, kind, wanted):
    wait_for(lambda: depth(prometheus, kind) == wanted, f"a depth of {wanted} in {DOCUMENTS[kind]}")


def deep_queues(prometheus):
    return [alert["labels"]["queue"] for alert in prometheus.api("alerts")["alerts"]
            if alert["labels"]["alertname"] == "FlotillaQueueDeep"]


def backlog(fleet, http, prometheus):
    """Workers quiet, a backlog made, worked off step by step: its true depth at each."""
    pids = {p["name"]: p["pid"] for p in processes(http)}
    folder = pathlib.Path(fleet.folder.name, "papers")
    folder.mkdir()
    for i in range(BACKLOG):
        (folder / f"{i}.txt").write_text(f"document {i}: the depth of a queue is what nobody has taken yet\n")
    for kind in DOCUMENTS:
        os.kill(pids[kind], signal.SIGTSTP)
        wait_for(lambda kind=kind: [p["report"] for p in processes(http) if p["name"] == kind] == ["quiet"], f"{kind} quiet")
    reaches(prometheus, "workflow", 0)
    reaches(prometheus, "io", 0)
    for i in range(BACKLOG):
        flotilla(fleet, "start", "--type", "DocumentWorkflow", "-t", DOCUMENTS["workflow"], "-w", f"paper-{i}",
                 "-i", json.dumps({"uri": f"file://{folder}/{i}.txt"}))
        if i in (0, BACKLOG // 2):
            reaches(prometheus, "workflow", i + 1)
    reaches(prometheus, "workflow", BACKLOG)
    os.kill(pids["workflow"], signal.SIGCONT)
    reaches(prometheus, "workflow", 0)
    reaches(prometheus, "io", BACKLOG)
    wait_for(lambda: deep_queues(prometheus) == [DOCUMENTS["io"]], "the alert of the deep queue")
    os.kill(pids["io"], signal.SIGCONT)
    reaches(prometheus, "io", 0)
    for i in range(BACKLOG):
        flotilla(fleet, "result", f"paper-{i}")


# ---- load, and failures ----

def make_trouble(fleet, http, prometheus):
    """A bit of everything that the dashboards show."""
    os.kill(next(p["pid"] for p in get_json(http, "/v1/fleet")["processes"] if p["name"] == "engine"), signal.SIGKILL)
    wait_for(lambda: (found := exposition.value(exposition.check(*exposition.page(http)), "flotilla_child_exits_total",
                                                process="engine", reason="signal-9")) and found == 1, "the engine's end")
    wait_for(lambda: all(p["ready"] for p in processes(http)), "the fleet's readiness")
    crashing = ["load", "--type", "failure_testing", "--tasks", 1, "--quiet", "--param", "kinds=crash", "--param", "attempts=5"]
    flotilla(fleet, *crashing, "--param", "failure_rate=0")  # an alert needs a sample from before
    wait_for(lambda: prometheus.query('flotilla_activity_crashed_total{activity_type="failure_testing"} == 0'), "that sample")
    flotilla(fleet, *crashing, "--param", "failure_rate=1")
    for type_, value in [("LocalChain", 21), ("LocalFail", 0), ("LocalRetry", 0), ("LocalCancel", 0), ("LocalMany", 20)]:
        flotilla(fleet, "start", "--type", type_, "-t", "local", "-i", value, "--wait")
    # An answer that nobody wants any more.
    flotilla(fleet, "start", "--type", "io_simulation", "-t", "benchmark", "-w", "unwanted",
             "-i", json.dumps({"io": "wait", "operations": 1, "delay_ms": 1000}))
    wait_for(lambda: "io_simulation" in flotilla(fleet, "describe", "unwanted"), "the start of its activity")
    flotilla(fleet, "terminate", "unwanted")


def keep_loading(fleet, until):
    """Turns of all task types and documents, until condition() or a minute is over."""
    deadline = time.monotonic() + 60
    turn = 0
    while True:
        turn += 1
        flotilla(fleet, "load", "--type", "all", "--tasks", 24, "--concurrency", 8, "--quiet", "--id-prefix", f"turn-{turn}",
                 "--param", "seed=%d" % turn, ok=False)
        flotilla(fleet, "start", "--type", "LocalChain", "-t", "local", "-i", 21, "--wait")
        left = until()
        if not left or time.monotonic() > deadline:
            return left


# ---- queries ----

def dashboard_queries():
    """(where, query) of all panels and variables, with the variables put in."""
    for path in sorted((ROOT / "k8s/monitoring/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}: {panel['title']}", target["expr"]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])[1]
                yield f"{path.name}: ${variable['name']}", metric


def substituted(query, job):
    values = {"$__rate_interval": "30s", "$__range": "5m", "$job": job, "$role": ".*", "$namespace": ".*", "$task_queue": ".*"}
    for name, value in values.items():
        query = query.replace(name, value)
    return query


def unprovoked(query):
    return [name for name in UNPROVOKED if re.search(rf"\b{name}\b", query)]


def without_data(prometheus, job):
    """[(where, query)] of the queries that should return numbers and do not."""
    lacking = []
    for where, query in dashboard_queries():
        if job != "flotilla" and re.search(r"flotilla_(fleet|child|queue)_|_queue_depth", query):
            continue  # only the supervisor has those
        query = substituted(query, job)
        numbers = [number for _, number in prometheus.query(query)]  # raises when it is not understood
        if not [n for n in numbers if not math.isnan(n)] and not unprovoked(query):
            lacking.append((where, query))
    return lacking


def firing_alerts(prometheus):
    return {alert["labels"]["alertname"] for alert in prometheus.api("alerts")["alerts"] if alert["state"] == "firing"}


def check_rules(prometheus, known):
    """No rule fails, and each selector in them finds series, but for those of UNPROVOKED. -> names of alerts that fire."""
    for group in prometheus.api("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule
            for name, labels in re.findall(r"\b((?:temporal|flotilla)_\w+)(\{[^}]*\})?", rule["query"]):
                assert re.sub(r"_(bucket|count)$", "", name) in known or name in known, (rule["name"], name)
                bare = re.sub(r'(failure_reason|operation|status_code|state|reason|role|check)(=~|!~|=)"[^"]*",?', "", labels)
                if name not in UNPROVOKED:
                    assert prometheus.query(name + bare), f"{rule['name']}: nothing is called {name}{bare}"
    return firing_alerts(prometheus)


async def dashboards_and_alerts(args):
    known = set(re.findall(r'X\(\w+, \w+, "(\w+)"', (ROOT / "common/telemetry/metric_names.h").read_text()))
    assert set(UNPROVOKED) <= known
    subprocess.run([sys.executable, ROOT / "tests/k8s/test_monitoring.py"], check=True)  # with promtool here
    with Fleet(args.bin) as fleet:
        http, engine_http = start_fleet(fleet, args, real_server=False)
        prometheus = Prometheus(fleet, scrape_jobs(http, engine_http))
        make_trouble(fleet, http, prometheus)
        lacking = keep_loading(fleet, lambda: [(job, *each) for job in ("flotilla", "flotilla-workers")
                                               for each in without_data(prometheus, job)])
        assert not lacking, "queries without data:\n" + "\n".join(map(str, lacking))
        wait_for(lambda: {"FlotillaActivityCrashes", "FlotillaQuarantine"} <= firing_alerts(prometheus), "their alerts")
        firing = check_rules(prometheus, known)
        never = {"TemporalNonDeterminism", "TemporalMessageTooLarge", "FlotillaWorkerLost", "FlotillaCrashLoop",
                 "FlotillaEngineDiskFailed", "FlotillaEngineDiskFull", "FlotillaReportsRefused", "FlotillaSupervisorGone"}
        assert not never & firing, firing
        for address in [http, engine_http, *[p["http"] for p in processes(http)]]:
            ask_promtool(address)
        backlog(fleet, http, prometheus)


def ask_promtool(address):
    for accept in (None, exposition.ACCEPT_OPENMETRICS):
        kind, text = exposition.page(address, accept)
        exposition.check(kind, text)
        if not accept:
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            # One gauge of the engine is called as Temporal's server calls it.
            said = [line for line in done.stderr.splitlines() if not line.startswith("approximate_backlog_count ")]
            assert not said, f"{address}: {said}"


async def depth_on_real_server(args):
    with Fleet(args.bin, args.temporal) as fleet:
        fleet.real_server()
        await fleet.client()  # once it is there
        http, _ = start_fleet(fleet, args, real_server=True)
        backlog(fleet, http, Prometheus(fleet, scrape_jobs(http, None)))
