# SPDX-License-Identifier: Apache-2.0
"""An OpenTelemetry collector for tests: takes OTLP/HTTP in JSON, looks at every member strictly, and can be told to
misbehave. Standard library only."""
import http.server
import json
import re
import threading

HEX = {16: re.compile(r"[0-9a-f]{16}\Z"), 32: re.compile(r"[0-9a-f]{32}\Z")}
NUMBER = re.compile(r"[0-9]+\Z")


def members(value, required, optional=()):
    """value is an object with these members, and no others."""
    assert isinstance(value, dict), value
    missing, more = set(required) - set(value), set(value) - set(required) - set(optional)
    assert not missing and not more, f"missing {missing}, unknown {more}: {value}"


def an_int64(text):
    assert isinstance(text, str) and NUMBER.match(text) and int(text) < 2**64, f"no 64-bit integer as a string: {text!r}"
    return int(text)


def an_id(text, digits):
    assert isinstance(text, str) and HEX[digits].match(text) and set(text) != {"0"}, f"no id of {digits} digits: {text!r}"
    return text


def attributes(listed):
    found = {}
    for pair in listed:
        members(pair, ["key", "value"])
        assert isinstance(pair["key"], str) and pair["key"] and pair["key"] not in found, pair
        (kind, value), = pair["value"].items()
        assert kind in ("stringValue", "intValue"), pair
        found[pair["key"]] = an_int64(value) if kind == "intValue" else value
        assert kind == "intValue" or isinstance(value, str), pair
    return found


def sections(body, what):
    """(resource attributes, list of spans or metrics) of a request."""
    title = what.capitalize()
    members(body, [f"resource{title}"])
    resource, = body[f"resource{title}"]
    members(resource, ["resource", f"scope{title}"])
    members(resource["resource"], ["attributes"])
    scope, = resource[f"scope{title}"]
    members(scope, ["scope", what])
    members(scope["scope"], ["name", "version"])
    assert isinstance(scope[what], list)
    return attributes(resource["resource"]["attributes"]), scope[what]


def a_span(span):
    members(span, ["traceId", "spanId", "flags", "kind", "name", "startTimeUnixNano", "endTimeUnixNano", "attributes"],
            ["parentSpanId", "traceState", "events", "links", "status"])
    an_id(span["traceId"], 32)
    an_id(span["spanId"], 16)
    if "parentSpanId" in span:
        an_id(span["parentSpanId"], 16)
    assert span["kind"] in (1, 2, 3) and type(span["flags"]) is int, span
    assert 10**18 < an_int64(span["startTimeUnixNano"]) <= an_int64(span["endTimeUnixNano"]) < 10**19, span
    assert re.match(r"[A-Z][A-Za-z]+:.", span["name"]), span
    for event in span.get("events", []):
        members(event, ["timeUnixNano", "name", "attributes"])
        an_int64(event["timeUnixNano"])
        attributes(event["attributes"])
    for link in span.get("links", []):
        members(link, ["traceId", "spanId"])
        an_id(link["traceId"], 32)
        an_id(link["spanId"], 16)
    if "status" in span:
        members(span["status"], ["code", "message"])
        assert span["status"]["code"] == 2, span
    return {**span, "attributes": attributes(span["attributes"])}


def a_point(point, kind):
    times = ["timeUnixNano"] if kind == "gauge" else ["startTimeUnixNano", "timeUnixNano"]
    values = ["count", "sum", "bucketCounts", "explicitBounds"] if kind == "histogram" else ["asDouble"]
    members(point, ["attributes", *times, *values])
    for name in times:
        an_int64(point[name])
    if kind != "gauge":
        assert int(point["startTimeUnixNano"]) <= int(point["timeUnixNano"]), point
    if kind == "histogram":
        buckets, bounds = [an_int64(c) for c in point["bucketCounts"]], point["explicitBounds"]
        assert len(buckets) == len(bounds) + 1 and sum(buckets) == an_int64(point["count"]), point
        assert bounds == sorted(set(bounds)), point
        assert isinstance(point["sum"], (int, float)), point
    else:
        assert isinstance(point["asDouble"], (int, float)), point
    return {**point, "attributes": attributes(point["attributes"])}


def a_metric(metric):
    kind, = set(metric) - {"name", "description", "unit"}
    members(metric, ["name", "description", "unit", kind])
    data = metric[kind]
    members(data, {"gauge": ["dataPoints"], "sum": ["dataPoints", "aggregationTemporality", "isMonotonic"],
                   "histogram": ["dataPoints", "aggregationTemporality"]}[kind])
    assert kind == "gauge" or data["aggregationTemporality"] == 2, metric
    assert kind != "sum" or data["isMonotonic"] is True, metric
    assert re.match(r"[a-z][a-z0-9_]*\Z", metric["name"]) and not metric["name"].endswith("_total"), metric["name"]
    points = [a_point(p, kind) for p in data["dataPoints"]]
    labels = [json.dumps(p["attributes"], sort_keys=True) for p in points]
    assert points and len(set(labels)) == len(labels), metric
    return {**metric, "kind": kind, "points": points}


class Collector:
    """Takes requests on a port of its own. What it answers next: `script`, a list of
    (status, headers, body bytes) or of functions of the handler; 200 {} once that is used up."""

    def __init__(self, tls=None):
        self.requests, self.mistakes, self.script = [], [], []
        self.spans, self.metrics, self.resources = [], {}, []
        self.changed = threading.Condition()
        self.release = threading.Event()  # what a slow answer waits for
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector._take(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _take(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.changed:
            answer = self.script.pop(0) if self.script else (200, {}, b"{}")
            self.requests.append((handler.path, dict(handler.headers), body))
            self.changed.notify_all()
        if callable(answer):
            answer(handler)
            return
        status, headers, reply = answer
        if status == 200:
            self._keep(handler, body)
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(reply), **headers}.items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(reply)

    def _keep(self, handler, body):
        with self.changed:
            try:
                assert handler.headers["Content-Type"] == "application/json", dict(handler.headers)
                assert handler.headers["Host"] == self.url.split("/")[2], dict(handler.headers)
                what = handler.path.split("?")[0].rsplit("/", 1)[1]
                resource, items = sections(json.loads(body), {"traces": "spans", "metrics": "metrics"}[what])
                self.resources.append(resource)
                if what == "traces":
                    assert len(items) <= 512, len(items)
                    self.spans += [a_span(s) for s in items]
                else:
                    named = {m["name"]: m for m in map(a_metric, items)}
                    assert len(named) == len(items), "two metrics of one name"
                    self.metrics.update(named)
            except Exception as mistake:
                self.mistakes.append(f"{type(mistake).__name__}: {mistake}")
            self.changed.notify_all()

    def wait(self, condition, what, timeout=30):
        with self.changed:
            assert self.changed.wait_for(lambda: self.mistakes or condition(self), timeout), \
                f"{what} did not happen: spans {self.names()}, {len(self.requests)} requests"
            assert not self.mistakes, self.mistakes

    def names(self):
        return sorted(s["name"] for s in self.spans)

    def named(self, name):
        return [s for s in self.spans if s["name"] == name]

    def value(self, name, **labels):
        """The sum of the points that have these labels."""
        metric = self.metrics.get(name)
        return sum(float(p.get("asDouble", p.get("count"))) for p in metric["points"]
                   if labels.items() <= p["attributes"].items()) if metric else 0

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
