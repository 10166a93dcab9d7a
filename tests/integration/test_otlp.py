#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Metrics and spans of real workers at an OpenTelemetry collector, also one that is away, slow or speaks nonsense."""
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import unittest

from support import BIN, FleetTest, flotilla, free_port, get, ready, run, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from otlp import Collector  # noqa: E402

MODULE = BIN.parent / "tests/modules/trace.so"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-2] + "00"
TRACE = PARENT.split("-")[1]
# What one run of Trace leaves: flaky fails once.
SPANS = sorted(["RunWorkflow:Trace", "CompleteWorkflow:Trace"] + 2 * ["StartActivity:where", "RunActivity:where"] +
               ["StartActivity:flaky"] + 2 * ["RunActivity:flaky"])


class Otlp(FleetTest):
    def setUp(self):
        super().setUp()
        self.collector = Collector()
        self.addCleanup(self.collector.close)

    def workers(self, **settings):
        """A workflow worker and an activity worker that export to the collector often."""
        if not self.fleet.target:
            self.fleet.engine()
        settings = {"otlp__endpoint": self.collector.url, "otlp__span_delay": "20ms", "otlp__interval": "1h",
                    "otlp__timeout": "5s", **settings}
        both = [self.fleet.worker(role, str(MODULE), "trace", **settings)
                for role in ("workflow-worker", "io-activity-worker")]
        for worker in both:
            ready(worker)
        return both

    def trace(self, id_, parent="", type_="Trace", value=None, state=""):
        """Start it; its result, or None while it waits for a signal."""
        code, out, err = run("flotilla", "start", "--address", self.fleet.target, "--type", type_, "-t", "trace", "-w",
                             id_, "-i", json.dumps(value), env={"TRACEPARENT": parent, "TRACESTATE": state})
        self.assertEqual(code, 0, err)
        return json.loads(self.cli("result", id_)) if type_ == "Trace" else None

    def cli(self, *args):
        code, out, err = flotilla(self.fleet.target, *args)
        self.assertEqual(code, 0, f"{args}: {err}")
        return out

    def spans(self, count, what="all spans"):
        self.collector.wait(lambda c: len(c.spans) >= count, what)

    def tree(self, places, id_):
        """The spans of a run of Trace hang together as they should."""
        spans = [s for s in self.collector.spans if s["attributes"]["temporalWorkflowID"] == id_]
        by_id = {s["spanId"]: s for s in spans}
        self.assertEqual(len(by_id), len(spans), "a span came twice")
        self.assertEqual(sorted(s["name"] for s in spans), SPANS)
        self.assertEqual({s["traceId"] for s in spans}, {p.split("-")[1] for p in places}, places)
        runs = {s["name"].split(":")[0]: s for s in spans}
        root = runs["RunWorkflow"]
        self.assertEqual(places[0].split("-")[2], root["spanId"])
        for span in spans:
            parent = by_id.get(span.get("parentSpanId"))
            verb, what = span["name"].split(":")
            if verb in ("StartActivity", "CompleteWorkflow"):
                self.assertIs(parent, root, span)
            elif verb == "RunActivity":
                self.assertEqual(parent["name"], f"StartActivity:{what}", span)
            self.assertEqual(span["kind"], {"StartActivity": 3, "CompleteWorkflow": 1}.get(verb, 2))
        for place in places[1:]:
            self.assertTrue(by_id[place.split("-")[2]]["name"].startswith("RunActivity:"), place)
        failed, = [s for s in spans if "status" in s]
        self.assertEqual((failed["name"], failed["status"]["message"]), ("RunActivity:flaky", "not at once"))
        return root

    def test_one_trace_of_workflow_and_activities(self):
        workers = self.workers(log__format="json")
        places = self.trace("w1", PARENT, state="a=1")
        self.spans(len(SPANS))
        root = self.tree(places, "w1")
        self.assertEqual((root["traceId"], root["parentSpanId"]), tuple(PARENT.split("-")[1:3]))
        self.assertEqual({s.get("traceState") for s in self.collector.spans}, {"a=1"})
        for worker, text, place in zip(workers, ("workflow speaks", "activity speaks"), (places[0], places[1])):
            line = json.loads(worker.said(text))
            self.assertEqual([line["trace_id"], line["span_id"]], place.split("-")[1:3])
        for worker, name in zip(workers, ("workflow-worker", "io-activity-worker")):
            self.assertIn(name, [r["service.name"] for r in self.collector.resources])
        # The metrics go last, when the process ends; the names have no _total.
        for worker in workers:
            self.assertEqual(worker.stop(), 0)
        self.collector.wait(lambda c: c.value("temporal_activity_task_received", activity_type="flaky") == 2, "metrics")
        self.assertEqual(self.collector.value("temporal_workflow_completed", workflow_type="Trace"), 1)
        self.assertEqual(self.collector.metrics["temporal_request_latency_seconds"]["unit"], "s")
        self.assertEqual(len(self.collector.spans), len(SPANS))

    def test_activities_in_processes(self):
        """The process that runs the code, and the one that sends the span, mean the same one."""
        self.fleet.engine()
        settings = {"otlp__endpoint": self.collector.url, "otlp__span_delay": "20ms", "log__format": "json"}
        ready(self.fleet.worker("workflow-worker", str(MODULE), "trace", **settings))
        io = self.fleet.worker("io-activity-worker", str(MODULE), "trace", executor__isolation="process", **settings)
        ready(io)
        places = self.trace("w1", PARENT)
        self.spans(len(SPANS))
        self.tree(places, "w1")
        line = json.loads(io.said("activity speaks"))
        self.assertEqual([line["trace_id"], line["span_id"]], places[1].split("-")[1:3])

    def test_without_a_parent_the_run_is_the_root(self):
        self.workers()
        places = self.trace("w1")
        self.spans(len(SPANS))
        root = self.tree(places, "w1")
        self.assertNotIn("parentSpanId", root)

    def test_replays_leave_the_same_spans(self):
        """Without a cache each task replays the run from its first event, and nothing is sent twice."""
        self.fleet.engine()
        settings = {"otlp__endpoint": self.collector.url, "otlp__span_delay": "20ms"}
        ready(self.fleet.worker("workflow-worker", str(MODULE), "trace", sticky_cache__max_entries=0, **settings))
        ready(self.fleet.worker("io-activity-worker", str(MODULE), "trace", **settings))
        places = self.trace("w1", PARENT)
        for worker in self.fleet.processes[1:]:
            self.assertEqual(worker.stop(), 0)
        self.spans(len(SPANS))
        self.tree(places, "w1")

    def test_another_worker_goes_on_with_the_same_context(self):
        """The run is replayed by a second worker: what it starts is below the first one's RunWorkflow."""
        first, _ = self.workers()
        self.trace("w1", PARENT, "TraceFail")
        self.spans(1, "RunWorkflow")
        first.stop()
        self.workers()
        self.cli("signal", "-w", "w1", "--name", "go")
        self.collector.wait(lambda c: "CompleteWorkflow:TraceFail" in c.names(), "the end")
        self.spans(5)
        self.assertEqual(self.collector.names(), ["CompleteWorkflow:TraceFail", "HandleSignal:go", "RunActivity:where",
                                                  "RunWorkflow:TraceFail", "StartActivity:where"])
        root, = self.collector.named("RunWorkflow:TraceFail")
        for name in ("CompleteWorkflow:TraceFail", "HandleSignal:go", "StartActivity:where"):
            self.assertEqual(self.collector.named(name)[0]["parentSpanId"], root["spanId"], name)
        end, = self.collector.named("CompleteWorkflow:TraceFail")
        self.assertEqual(end["status"]["message"], 'it is "too" late')
        said = {p["key"]: p["value"]["stringValue"] for p in end["events"][0]["attributes"]}
        self.assertEqual(said, {"exception.type": "NotToday", "exception.message": 'it is "too" late'})

    def test_sampling(self):
        """What the parent leaves out is left out, and goes on as left out; always_off begins nothing."""
        self.workers(otlp__sampler="parentbased_always_off")
        for id_, parent in [("off", ""), ("unsampled", UNSAMPLED)]:
            places = self.trace(id_, parent)
            self.assertEqual({p[-2:] for p in places}, {"00"}, places)
        self.trace("on", PARENT)
        self.spans(len(SPANS))
        self.assertEqual({s["attributes"]["temporalWorkflowID"] for s in self.collector.spans}, {"on"})

    def test_a_collector_that_is_busy_gets_all_once(self):
        """503 and 429, the second with Retry-After: the same batch again, and nothing twice."""
        self.collector.script = [(503, {}, b"not now"), (429, {"Retry-After": "1"}, b"")]
        workers = self.workers(otlp__metrics="false")
        places = self.trace("w1", PARENT)
        self.spans(len(SPANS))
        self.tree(places, "w1")
        said = "\n".join(line for w in workers for line in w.output)
        self.assertIn("otlp.unreachable", said)
        for worker in workers:
            worker.stop()
        self.assertEqual(len(self.collector.spans), len(SPANS))
        self.assertIn("otlp.recovered", "\n".join(line for w in workers for line in w.output))

    def test_a_collector_that_refuses_or_takes_a_part(self):
        partial = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too purple"}}
        self.collector.script = [(400, {}, b"no such thing"), (200, {}, json.dumps(partial).encode())]
        self.workers(otlp__metrics="false", otlp__traces_endpoint=self.collector.url + "/v1/traces?key=s3cret")
        self.trace("w1", PARENT)
        all_said = lambda: "\n".join(line for w in self.fleet.processes for line in w.output)  # noqa: E731
        wait_for(lambda: "otlp.refused" in all_said() and "no such thing" in all_said(), "the refusal")
        self.trace("w2", PARENT)
        wait_for(lambda: "too purple" in all_said(), "the partial success")
        self.assertIn("/v1/traces", all_said())
        self.assertNotIn("s3cret", all_said())

    def test_a_collector_that_speaks_nonsense(self):
        """Garbage, a closed connection, a body without end, JSON that is none: workers go on, and end in time."""
        def garbage(handler):
            handler.wfile.write(b"\x00\xff\r\n\r\nHTTP/9 what\r\n" * 50)
            handler.close_connection = True

        def closed(handler):
            handler.close_connection = True

        def endless(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 200000)
            handler.close_connection = True

        self.collector.script = [garbage, closed, endless, (200, {}, b"{\"partialSuccess\": [1, "),
                                 (200, {}, b"[]"), (200, {}, b'{"partialSuccess": {"rejectedSpans": {}}}')]
        workers = self.workers(otlp__metrics="false")
        for i in range(3):
            self.trace(f"w{i}", PARENT)
        self.collector.wait(lambda c: not c.script, "all nonsense")
        for worker in workers:
            self.assertEqual(worker.stop(), 0)

    def test_a_collector_that_never_answers(self):
        """Work goes on, and the process ends within its time all the same."""
        slow = lambda handler: self.collector.release.wait(60)  # noqa: E731
        self.collector.script = [slow] * 100
        workers = self.workers(otlp__timeout="60s", shutdown_timeout="5s")
        for i in range(3):
            self.trace(f"w{i}", PARENT)
        for worker in workers:
            self.assertEqual(worker.stop(timeout=20), 0)

    def test_a_collector_that_is_away(self):
        """Work goes on, and it is counted and said."""
        address = f"http://127.0.0.1:{free_port()}"
        self.workers(otlp__endpoint=address, otlp__metrics="false")
        worker = self.fleet.processes[-1]
        for i in range(3):
            self.trace(f"w{i}", PARENT)
        wait_for(lambda: 'flotilla_otlp_requests_total{signal="traces",outcome="unavailable"}'
                 in get(worker.address("metrics"), "/metrics")[1], "a count")
        worker.said("otlp.unreachable")

    def test_https_and_headers(self):
        """TLS to a collector whose certificate is good, and nothing to one whose is not; headers are decoded."""
        with tempfile.TemporaryDirectory() as folder:
            cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=collector",
                            "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(cert, key)
            secure = Collector(tls)
            self.addCleanup(secure.close)
            self.fleet.engine()
            settings = {"otlp__endpoint": secure.url + "/base/", "otlp__span_delay": "20ms", "otlp__interval": "1h"}
            config = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret,x-tenant = a%2Cb",
                      "OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=te%20st"}
            os.environ.update(config)
            self.addCleanup(lambda: [os.environ.pop(name) for name in config])
            distrusts = self.fleet.worker("workflow-worker", str(MODULE), "other", **settings)
            worker = self.fleet.worker("workflow-worker", str(MODULE), "trace", otlp__ca_file=cert, **settings)
            ready(worker)
            self.assertEqual(worker.stop(), 0)
            secure.wait(lambda c: "temporal_worker_start" in c.metrics, "metrics over TLS")
            path, headers, _ = secure.requests[0]
            self.assertEqual(path, "/base/v1/metrics")
            self.assertEqual((headers["authorization"], headers["x-tenant"]), ("Bearer s3cret", "a,b"))
            self.assertEqual(secure.resources[0]["service.name"], "shop")
            self.assertEqual(secure.resources[0]["deployment.environment"], "te st")
            ready(distrusts)
            count = len(secure.requests)
            self.assertEqual(distrusts.stop(), 0)
            self.assertEqual(len(secure.requests), count, "it has spoken to a stranger")
            code, out, _ = run("workflow-worker", "--config", "/dev/null", "--set", "task_queue=q", "--print-config")
            self.assertNotIn("s3cret", out)

    def test_the_supervisor(self):
        """It exports its own metrics, at last when it ends; it stops in time when nobody takes them."""
        folder = pathlib.Path(self.fleet.folder.name, "state")
        ends = [self.fleet.start("flotilla-supervisor", [
            BIN / "flotilla-supervisor", "--set", f"state_dir={folder}{i}", "--set", "health.port=0", "--set",
            "metrics.port=0", "--set", "engine.enabled=false", "--set", f"otlp.endpoint={url}"])
            for i, url in enumerate((self.collector.url, f"http://127.0.0.1:{free_port()}"))]
        for supervisor in ends:
            supervisor.address("http")
            self.assertEqual(supervisor.stop(), 0)
        self.collector.wait(lambda c: "flotilla_build_info" in c.metrics, "metrics of the supervisor")
        self.assertEqual({r["service.name"] for r in self.collector.resources}, {"flotilla-supervisor"})

    def test_bad_settings(self):
        """One line, and exit 78."""
        for name, value, why in [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@collector:4318", "otlp.headers"),
                                 ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:65536", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://:4318", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/a b", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/#a", "is no endpoint"),
                                 ("OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%zz", "pair 1"),
                                 ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,s3 cret=1", "pair 2"),
                                 ("OTEL_RESOURCE_ATTRIBUTES", "a", "pair 1"),
                                 ("OTEL_TRACES_SAMPLER", "sometimes", "always_on"),
                                 ("OTEL_TRACES_SAMPLER_ARG", "2", "out of range"),
                                 ("OTEL_METRIC_EXPORT_INTERVAL", "60s", "milliseconds")]:
            code, out, err = run("workflow-worker", "--set", "task_queue=q", "--check-config", env={name: value})
            self.assertEqual((code, len(err.splitlines())), (78, 1), f"{name}: {out}{err}")
            self.assertIn(why, err)
            self.assertNotIn("s3", err)

    def test_switched_off(self):
        """OTEL_SDK_DISABLED and OTEL_..._EXPORTER=none win over an endpoint; then there is no place in a trace."""
        os.environ["OTEL_SDK_DISABLED"] = "TRUE"
        self.addCleanup(lambda: os.environ.pop("OTEL_SDK_DISABLED"))
        self.workers()
        places = self.trace("w1", PARENT)
        self.assertEqual(set(places), {""})
        for worker in self.fleet.processes[1:]:
            self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.collector.requests, [])


if __name__ == "__main__":
    unittest.main()
