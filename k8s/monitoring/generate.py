#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what is made from something else here: the dashboards for Grafana from the tables below, and the
PrometheusRule of the operator from rules.yaml, which a Prometheus without it reads itself.

usage: generate.py [--check]     --check: write nothing, exit 1 when a file differs"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
WIDTH, HEIGHT = 24, 8

# Of one job only: a Prometheus that scrapes the supervisor and the workers has every series twice.
FLEET = 'job=~"$job",role=~"$role"'
SDK = 'job=~"$job",namespace=~"$namespace",task_queue=~"$task_queue"'
SDK_CALLS = 'job=~"$job",namespace=~"$namespace"'  # without a task queue
RATE = "[$__rate_interval]"


def rate(name, selector, by=""):
    """A counter's increase a second, summed."""
    return f"sum by ({by}) (rate({name}{{{selector}}}{RATE}))" if by else f"sum(rate({name}{{{selector}}}{RATE}))"


def quantile(q, name, selector, by=""):
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({name}_bucket{{{selector}}}{RATE})))"


def share(part, whole):
    """part / whole, 0 where the whole is 0."""
    return f"{part} / ({whole} > 0)"


# ---- panels: (title, kind, width, unit, [(query, legend), ...], description) ----

def panel(title, unit, *targets, kind="timeseries", width=8, height=HEIGHT, text="", **more):
    return {"title": title, "unit": unit, "targets": targets, "kind": kind, "width": width, "height": height, "text": text,
            **more}


def stat(title, unit, query, **more):
    return panel(title, unit, (query, ""), kind="stat", width=4, height=4, **more)


WORKERS = [
    ("At a glance", [
        stat("Processes", "short", f'count(flotilla_build_info{{{FLEET}}})'),
        stat("Lost", "short", 'sum(flotilla_fleet_processes{job=~"$job",state="lost"}) or vector(0)',
             steps=[("green", None), ("red", 1)], text="Processes that stopped reporting without saying goodbye."),
        stat("Tasks/s", "ops", f'(sum(rate(temporal_activity_task_received_total{{{FLEET}}}{RATE})) or vector(0)) + '
             f'(sum(rate(temporal_workflow_task_queue_poll_succeed_total{{{FLEET}}}{RATE})) or vector(0))',
             text="Of both kinds; a role alone has one of them."),
        stat("Activities failed", "percentunit",
             share(f"sum(rate(temporal_activity_execution_failed_total{{{FLEET}}}{RATE}))",
                   f"sum(rate(temporal_activity_execution_latency_seconds_count{{{FLEET}}}{RATE}))"),
             steps=[("green", None), ("yellow", 0.01), ("red", 0.05)], text="Share of attempts, the retried ones too."),
        stat("Waiting tasks", "short", 'sum(max by (namespace, task_queue, task_type) (flotilla_queue_backlog{job=~"$job"}))',
             steps=[("green", None), ("yellow", 20), ("red", 100)]),
        stat("Slots in use", "percentunit", f"avg(temporal_slot_utilization{{{FLEET}}})",
             steps=[("green", None), ("yellow", 0.8), ("red", 1)]),
    ]),
    ("Roles", [
        panel("Processes by role", "short", (f"count by (role) (flotilla_build_info{{{FLEET}}})", "{{role}}")),
        panel("CPU by role", "short", (rate("process_cpu_seconds_total", FLEET, "role"), "{{role}}"), text="Cores."),
        panel("Memory by role", "bytes", (f"sum by (role) (process_resident_memory_bytes{{{FLEET}}})", "{{role}}")),
        panel("CPU of each process", "short", (rate("process_cpu_seconds_total", FLEET, "role, identity"),
                                               "{{role}} {{identity}}"), text="Cores."),
        panel("Memory of each process", "bytes", (f"process_resident_memory_bytes{{{FLEET}}}", "{{role}} {{identity}}")),
        panel("Processes by state", "short",
              ('sum by (role, state) (flotilla_fleet_processes{job=~"$job",role=~"$role"})', "{{role}} {{state}}"),
              text="As the supervisor sees them."),
        panel("Lateness of event loops", "s", (f"max by (role, identity) (flotilla_loop_lag_seconds{{{FLEET}}})",
                                               "{{role}} {{identity}}")),
        panel("Open files", "short", (f"process_open_fds{{{FLEET}}}", "{{role}} {{identity}}")),
        panel("Connected to the server", "short", (f"flotilla_server_connected{{{FLEET}}}", "{{role}} {{identity}}"), max=1),
    ]),
    ("Work", [
        panel("Activities", "ops", (rate("temporal_activity_task_received_total", FLEET, "activity_type"),
                                    "{{activity_type}}")),
        panel("Activities by outcome", "ops", (rate("activity_duration_seconds_count", FLEET, "status, error_type"),
                                               "{{status}} {{error_type}}")),
        panel("Duration of activities", "s",
              (quantile(0.5, "temporal_activity_execution_latency_seconds", FLEET, "activity_type"), "p50 {{activity_type}}"),
              (quantile(0.99, "temporal_activity_execution_latency_seconds", FLEET, "activity_type"), "p99 {{activity_type}}")),
        panel("Workflows ended", "ops",
              (rate("temporal_workflow_completed_total", FLEET), "completed"),
              (rate("temporal_workflow_failed_total", FLEET), "failed"),
              (rate("temporal_workflow_canceled_total", FLEET), "cancelled"),
              (rate("temporal_workflow_continue_as_new_total", FLEET), "continued as new")),
        panel("Workflow tasks failed", "ops",
              (rate("temporal_workflow_task_execution_failed_total", FLEET, "workflow_type, failure_reason"),
               "{{workflow_type}} {{failure_reason}}")),
        panel("From start to end of workflows", "s",
              (quantile(0.5, "temporal_workflow_endtoend_latency_seconds", FLEET, "workflow_type"), "p50 {{workflow_type}}"),
              (quantile(0.99, "temporal_workflow_endtoend_latency_seconds", FLEET, "workflow_type"), "p99 {{workflow_type}}")),
    ]),
    ("Queues", [
        panel("Workflow tasks waiting", "short",
              ('max by (namespace, queue) (temporal_workflow_task_queue_depth{job=~"$job"})', "{{queue}}")),
        panel("Activity tasks waiting", "short",
              ('max by (namespace, queue) (temporal_activity_task_queue_depth{job=~"$job"})', "{{queue}}")),
        panel("Oldest waiting task", "s",
              ('max by (task_queue, task_type) (flotilla_queue_backlog_age_seconds{job=~"$job"})',
               "{{task_queue}} {{task_type}}")),
        panel("In and out", "ops",
              ('max by (task_queue, task_type) (flotilla_queue_added_per_second{job=~"$job"})',
               "{{task_queue}} {{task_type}} added"),
              ('max by (task_queue, task_type) (flotilla_queue_dispatched_per_second{job=~"$job"})',
               "{{task_queue}} {{task_type}} given out")),
        panel("Workers that poll", "short",
              ('max by (task_queue, task_type) (flotilla_queue_pollers{job=~"$job"})', "{{task_queue}} {{task_type}}")),
        panel("From schedule to start", "s",
              (quantile(0.99, "temporal_workflow_task_schedule_to_start_latency_seconds", FLEET, "task_queue"),
               "p99 workflow {{task_queue}}"),
              (quantile(0.99, "temporal_activity_schedule_to_start_latency_seconds", FLEET, "task_queue"),
               "p99 activity {{task_queue}}")),
    ]),
    ("Slots and pollers", [
        panel("Slots in use", "percentunit",
              (f"avg by (task_queue, worker_type) (temporal_slot_utilization{{{FLEET}}})", "{{task_queue}} {{worker_type}}"),
              max=1),
        panel("Free slots", "short",
              (f"sum by (task_queue, worker_type) (temporal_worker_task_slots_available{{{FLEET}}})",
               "{{task_queue}} {{worker_type}}")),
        panel("Polls in flight", "short", (f"sum by (task_queue, poller_type) (temporal_num_pollers{{{FLEET}}})",
                                           "{{task_queue}} {{poller_type}}")),
    ]),
    ("What an attempt costs", [
        panel("CPU time of an attempt", "s",
              (share(rate("flotilla_activity_cpu_seconds_total", FLEET, "activity_type"),
                     rate("temporal_activity_execution_latency_seconds_count", FLEET, "activity_type")), "{{activity_type}}")),
        panel("CPU by activity type", "short", (rate("flotilla_activity_cpu_seconds_total", FLEET, "activity_type"),
                                                "{{activity_type}}"), text="Cores."),
        panel("Peak memory of executors", "bytes",
              (f"max by (activity_type) (flotilla_activity_max_rss_bytes{{{FLEET}}})", "{{activity_type}}"),
              text="Known of activities that run in processes."),
        panel("Storage", "Bps",
              (rate("flotilla_activity_read_bytes_total", FLEET, "activity_type"), "{{activity_type}} read"),
              (rate("flotilla_activity_written_bytes_total", FLEET, "activity_type"), "{{activity_type}} written")),
        panel("Pushed off their core", "ops", (rate("flotilla_activity_involuntary_switches_total", FLEET, "activity_type"),
                                               "{{activity_type}}"), text="Too few cores when this is high."),
        panel("Executors replaced and crashed", "ops",
              (rate("flotilla_executor_recycled_total", FLEET, "activity_type, reason"), "{{activity_type}} {{reason}}"),
              (rate("flotilla_activity_crashed_total", FLEET, "activity_type"), "{{activity_type}} crashed")),
    ]),
    ("Engine", [
        panel("Calls", "ops", ("sum by (operation) (rate(flotilla_engine_calls_total[$__rate_interval]))", "{{operation}}")),
        panel("Duration of calls", "s",
              (quantile(0.99, "flotilla_engine_call_latency_seconds", "", "operation"), "p99 {{operation}}")),
        panel("Commits", "ops", ("rate(flotilla_engine_commits_total[$__rate_interval])", "commits"),
              ("rate(flotilla_engine_commit_transitions_total[$__rate_interval])", "state transitions")),
        panel("Duration of commits", "s",
              (quantile(0.5, "flotilla_engine_commit_latency_seconds", ""), "p50"),
              (quantile(0.99, "flotilla_engine_commit_latency_seconds", ""), "p99"), text="With the disk's flush."),
        panel("Open workflows", "short", ("flotilla_engine_open_workflows", "open"),
              ("flotilla_engine_connections", "connections")),
        panel("Waiting in the engine", "short",
              ("sum by (task_queue, task_type) (flotilla_engine_backlog_tasks)", "{{task_queue}} {{task_type}}")),
    ]),
    ("Trouble", [
        panel("Health checks that fail", "short", (f"1 - flotilla_health_check{{{FLEET}}}", "{{role}} {{identity}} {{check}}"),
              max=1),
        panel("Restarts", "short", ('increase(flotilla_child_restarts_total{job=~"$job"}[$__range])', "{{process}}"),
              text="Of processes that the supervisor manages."),
        panel("Parked inputs", "short", (f"max(flotilla_quarantine_inputs{{{FLEET}}})", "parked"),
              (f"sum(flotilla_executor_stuck{{{FLEET}}})", "threads that do not stop")),
        panel("Failed calls", "ops", (rate("temporal_request_failure_total", FLEET, "operation, status_code"),
                                      "{{operation}} {{status_code}}")),
        panel("Refused reports and inputs", "ops",
              ('sum by (reason) (rate(flotilla_fleet_bad_frames_total{job=~"$job"}[$__rate_interval]))', "report: {{reason}}"),
              (rate("flotilla_rejects_total", FLEET, "reason"), "{{reason}}")),
        panel("Reports lost", "ops",
              ('sum by (role) (rate(flotilla_fleet_snapshot_gaps_total{job=~"$job"}[$__rate_interval]))', "{{role}} on the way"),
              (rate("flotilla_reports_dropped_total", FLEET, "role"), "{{role}} dropped by the sender")),
    ]),
]

SDK_ROWS = [
    ("CPU / Memory", [
        panel("CPU", "short", ('sum by (role, identity) (rate(process_cpu_seconds_total{job=~"$job"}[$__rate_interval]))',
                               "{{role}} {{identity}}"), width=12, text="Cores."),
        panel("Memory", "bytes", ('process_resident_memory_bytes{job=~"$job"}', "{{role}} {{identity}}"), width=12),
    ]),
    ("Requests", [
        panel("Requests and failures", "ops",
              (rate("temporal_request_total", SDK_CALLS, "namespace"), "{{namespace}} requests"),
              (rate("temporal_request_failure_total", SDK_CALLS, "namespace"), "{{namespace}} failures")),
        panel("Requests by operation", "ops", (rate("temporal_request_total", SDK_CALLS, "operation"), "{{operation}}")),
        panel("Failures by operation", "ops", (rate("temporal_request_failure_total", SDK_CALLS, "operation, status_code"),
                                               "{{operation}} {{status_code}}")),
        panel("Duration of requests (p95)", "s",
              (quantile(0.95, "temporal_request_latency_seconds", SDK_CALLS, "operation"), "{{operation}}"), width=12),
        panel("RESOURCE_EXHAUSTED", "ops",
              (rate("temporal_request_resource_exhausted_total", SDK_CALLS, "operation"), "{{operation}}"), width=12),
    ]),
    ("Long Requests", [
        panel("Long polls by operation", "ops", (rate("temporal_long_request_total", SDK_CALLS, "operation"), "{{operation}}")),
        panel("Failures by operation", "ops",
              (rate("temporal_long_request_failure_total", SDK_CALLS, "operation, status_code"),
               "{{operation}} {{status_code}}")),
        panel("Duration of long polls (p95)", "s",
              (quantile(0.95, "temporal_long_request_latency_seconds", SDK_CALLS, "operation"), "{{operation}}")),
    ]),
    ("Workflow", [
        panel("Completed", "ops", (rate("temporal_workflow_completed_total", SDK, "workflow_type"), "{{workflow_type}}")),
        panel("Failed", "ops", (rate("temporal_workflow_failed_total", SDK, "workflow_type"), "{{workflow_type}}")),
        panel("Cancelled, continued as new", "ops",
              (rate("temporal_workflow_canceled_total", SDK, "workflow_type"), "{{workflow_type}} cancelled"),
              (rate("temporal_workflow_continue_as_new_total", SDK, "workflow_type"), "{{workflow_type}} continued")),
        panel("From start to end", "s",
              (quantile(0.5, "temporal_workflow_endtoend_latency_seconds", SDK, "workflow_type"), "p50 {{workflow_type}}"),
              (quantile(0.95, "temporal_workflow_endtoend_latency_seconds", SDK, "workflow_type"), "p95 {{workflow_type}}"),
              width=24),
    ]),
    ("Workflow Task Processing", [
        panel("Tasks", "ops", (rate("temporal_workflow_task_queue_poll_succeed_total", SDK, "task_queue"), "{{task_queue}}")),
        panel("Empty polls", "ops", (rate("temporal_workflow_task_queue_poll_empty_total", SDK, "task_queue"), "{{task_queue}}")),
        panel("From schedule to start (p95)", "s",
              (quantile(0.95, "temporal_workflow_task_schedule_to_start_latency_seconds", SDK, "task_queue"),
               "{{task_queue}}")),
        panel("Execution (p95)", "s",
              (quantile(0.95, "temporal_workflow_task_execution_latency_seconds", SDK, "workflow_type"), "{{workflow_type}}")),
        panel("Replay (p95)", "s",
              (quantile(0.95, "temporal_workflow_task_replay_latency_seconds", SDK, "workflow_type"), "{{workflow_type}}")),
        panel("Failed", "ops",
              (rate("temporal_workflow_task_execution_failed_total", SDK, "workflow_type, failure_reason"),
               "{{workflow_type}} {{failure_reason}}"),
              (rate("temporal_workflow_task_no_completion_total", SDK, "workflow_type"), "{{workflow_type}} not accepted")),
    ]),
    ("Local Activities", [
        panel("Started", "ops", (rate("temporal_local_activity_total", SDK, "activity_type"), "{{activity_type}}")),
        panel("Failed, cancelled", "ops",
              (rate("temporal_local_activity_execution_failed_total", SDK, "activity_type"), "{{activity_type}} failed"),
              (rate("temporal_local_activity_execution_cancelled_total", SDK, "activity_type"), "{{activity_type}} cancelled")),
        panel("Duration (p95)", "s",
              (quantile(0.95, "temporal_local_activity_execution_latency_seconds", SDK, "activity_type"),
               "{{activity_type}} attempt"),
              (quantile(0.95, "temporal_local_activity_succeed_endtoend_latency_seconds", SDK, "activity_type"),
               "{{activity_type}} to success")),
    ]),
    ("Activities", [
        panel("Received", "ops", (rate("temporal_activity_task_received_total", SDK, "activity_type"), "{{activity_type}}")),
        panel("Failed, cancelled", "ops",
              (rate("temporal_activity_execution_failed_total", SDK, "activity_type"), "{{activity_type}} failed"),
              (rate("temporal_activity_execution_cancelled_total", SDK, "activity_type"), "{{activity_type}} cancelled")),
        panel("Execution (p95)", "s",
              (quantile(0.95, "temporal_activity_execution_latency_seconds", SDK, "activity_type"), "{{activity_type}}")),
        panel("To success (p95)", "s",
              (quantile(0.95, "temporal_activity_succeed_endtoend_latency_seconds", SDK, "activity_type"), "{{activity_type}}")),
        panel("Answers that were not taken", "ops",
              (rate("temporal_activity_task_error_total", SDK, "activity_type"), "{{activity_type}}")),
        panel("Empty polls", "ops", (rate("temporal_activity_poll_no_task_total", SDK, "task_queue"), "{{task_queue}}")),
        panel("From schedule to start (p95)", "s",
              (quantile(0.95, "temporal_activity_schedule_to_start_latency_seconds", SDK, "task_queue"), "{{task_queue}}"),
              width=24),
    ]),
    ("Slots", [
        panel("Slots available", "short",
              (f"sum by (task_queue, worker_type) (temporal_worker_task_slots_available{{{SDK}}})",
               "{{task_queue}} {{worker_type}}")),
        panel("Slots used", "short",
              (f"sum by (task_queue, worker_type) (temporal_worker_task_slots_used{{{SDK}}})",
               "{{task_queue}} {{worker_type}}")),
        panel("Pollers", "short", (f"sum by (task_queue, poller_type) (temporal_num_pollers{{{SDK}}})",
                                   "{{task_queue}} {{poller_type}}")),
    ]),
    ("Sticky Cache", [
        panel("Runs in the cache", "short", (f"sum by (task_queue) (temporal_sticky_cache_size{{{SDK}}})", "{{task_queue}}"),
              width=6),
        panel("Memory of the cache", "bytes", (f"sum by (task_queue) (flotilla_sticky_cache_bytes{{{SDK}}})", "{{task_queue}}"),
              width=6),
        panel("Hits and misses", "ops", (rate("temporal_sticky_cache_hit_total", SDK, "task_queue"), "{{task_queue}} hit"),
              (rate("temporal_sticky_cache_miss_total", SDK, "task_queue"), "{{task_queue}} miss"), width=6),
        panel("Pushed out", "ops", (rate("temporal_sticky_cache_total_forced_eviction_total", SDK, "task_queue"),
                                    "{{task_queue}}"), width=6),
    ]),
]


# ---- Grafana's form ----

def variable(name, query, label, multi):
    current = {"text": "All", "value": "$__all"} if multi else {}
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name},
            "definition": query, "refresh": 2, "sort": 1, "multi": multi, "includeAll": multi, "allValue": ".*" if multi else None,
            "current": current, "options": [], "hide": 0, "regex": "", "skipUrlSync": False}


def thresholds(spec):
    steps = spec.get("steps") or [("green", None)]
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def drawn(spec, number, x, y):
    """A panel of the table as Grafana has it."""
    defaults = {"unit": spec["unit"], "min": 0, "thresholds": thresholds(spec), "color": {"mode": "palette-classic"}}
    if "max" in spec:
        defaults["max"] = spec["max"]
    out = {
        "id": number, "type": spec["kind"], "title": spec["title"], "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": spec["width"], "h": spec["height"]},
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto",
                     "editorMode": "code", "range": spec["kind"] != "stat", "instant": spec["kind"] == "stat"}
                    for i, (query, legend) in enumerate(spec["targets"])],
        "fieldConfig": {"defaults": defaults, "overrides": []},
    }
    if spec["text"]:
        out["description"] = spec["text"]
    if spec["kind"] == "stat":
        defaults["color"] = {"mode": "thresholds"}
        out["options"] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
                          "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto"}
    else:
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never",
                              "spanNulls": False}
        out["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                          "tooltip": {"mode": "multi", "sort": "desc"}}
    return out


def laid_out(rows):
    panels, y, number = [], 0, 0
    for title, specs in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        y, x, tallest = y + 1, 0, 0
        for spec in specs:
            if x + spec["width"] > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            panels.append(drawn(spec, number, x, y))
            x, tallest = x + spec["width"], max(tallest, spec["height"])
        y += tallest
    return panels


def dashboard(uid, title, text, rows, variables):
    return {
        "__inputs": [{"name": "DS_PROMETHEUS", "label": "Prometheus", "description": "Where the metrics are",
                      "type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}],
        "__requires": [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.0.0"},
                       {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
                       {"type": "panel", "id": "timeseries", "name": "Time series", "version": ""},
                       {"type": "panel", "id": "stat", "name": "Stat", "version": ""}],
        "id": None, "uid": uid, "title": title, "description": text, "tags": ["flotilla", "temporal"],
        "schemaVersion": 41, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "refresh": "10s", "links": [], "annotations": {"list": []},
        "templating": {"list": [
            {"name": "DS_PROMETHEUS", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {},
             "options": [], "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": "", "skipUrlSync": False},
            *variables]},
        "panels": laid_out(rows),
    }


JOB = variable("job", "label_values(flotilla_build_info, job)", "Scrape job", False)
DASHBOARDS = {
    "flotilla-workers.json": dashboard(
        "flotilla-workers", "Flotilla workers",
        "The fleet: its processes, what they do, what waits, what attempts cost, and the engine.", WORKERS,
        [JOB, variable("role", 'label_values(flotilla_build_info{job=~"$job"}, role)', "Role", True)]),
    "temporal-sdk.json": dashboard(
        "flotilla-temporal-sdk", "Temporal SDK metrics",
        "The metrics that the Temporal SDKs share, in the rows of Temporal's own dashboards.", SDK_ROWS,
        [JOB, variable("namespace", 'label_values(temporal_worker_start_total{job=~"$job"}, namespace)', "Namespace", True),
         variable("task_queue", 'label_values(temporal_worker_start_total{job=~"$job"}, task_queue)', "Task queue", True)]),
}

RULE_HEAD = """\
# Made from rules.yaml by generate.py, for the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: flotilla
  labels:
    app.kubernetes.io/name: flotilla
spec:
"""


def prometheus_rule(rules):
    """The groups of rules.yaml as a resource; its first comment is its own."""
    lines = rules[rules.index("groups:"):].splitlines()
    return RULE_HEAD + "".join(f"  {line}\n" if line else "\n" for line in lines)


def files():
    for name, content in DASHBOARDS.items():
        yield HERE / "dashboards" / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    yield HERE / "prometheus-rule.yaml", prometheus_rule((HERE / "rules.yaml").read_text())


def main():
    stale = 0
    for path, text in files():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path} is not what generate.py writes", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
