#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""k8s/monitoring: the dashboards have the form that Grafana wants, what is generated is up to date, each query names
metrics and labels that exist, each alert is tested. With promtool, the rules and their tests run too."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "k8s/monitoring"
SUFFIXES = re.compile(r"_(bucket|sum|count)$")
# Of the target, or of the supervisor's page.
COMMON_LABELS = {"job", "instance", "role", "identity", "le"}
WORDS = set("""sum avg min max count by on and or unless offset rate increase histogram_quantile absent vector
    max_over_time label_values""".split())


def known_metrics():
    """{name: (kind, labels)} of the table of metrics."""
    text = (ROOT / "common/telemetry/metric_names.h").read_text()
    found = re.findall(r'X\(\w+, (\w+), "(\w+)", "([\w,]*)"', text)
    return {name: (kind, set(filter(None, labels.split(",")))) for kind, name, labels in found}


def rules():
    """(alert, expression) of rules.yaml, which is written plainly enough to be read without a YAML reader."""
    text = (FOLDER / "rules.yaml").read_text()
    parts = re.split(r"\n      - alert: ", text)[1:]
    return [(part.split("\n", 1)[0], re.search(r"\n        expr: \|\n((?:          .*\n)+)", part)[1]) for part in parts]


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}


def names_in(query):
    """(metrics, labels) that a query names."""
    bare = re.sub(r'"[^"]*"', '""', query)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)(?!=)\s*\"\"", bare))
    for group in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", bare):
        labels |= set(re.findall(r"\w+", group))
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on|without)\s*\([^)]*\)", "", bare)
    words = set(re.findall(r"[a-z_][\w:]*", re.sub(r"\b\d+[smhd]\b", "", bare))) - WORDS
    return words, labels


class Monitoring(unittest.TestCase):
    def check_query(self, query, where):
        metrics, labels = names_in(query)
        self.assertTrue(metrics, where)
        allowed = set(COMMON_LABELS)
        for name in metrics:
            kind, own = KNOWN.get(name) or KNOWN.get(SUFFIXES.sub("", name)) or (None, set())
            self.assertIsNotNone(kind, f"{where}: there is no metric {name}")
            if kind == "HISTOGRAM":
                self.assertRegex(name, SUFFIXES, where)
            if kind != "GAUGE":
                self.assertRegex(query, rf"(rate|increase)\({name}\W|{name} unless|offset|unless {name}", where)
            else:
                self.assertNotRegex(query, rf"(rate|increase)\({name}\W", where)
            allowed |= own
        self.assertLessEqual(labels, allowed, f"{where}: {query}")

    def test_generated_files_are_up_to_date(self):
        done = subprocess.run([sys.executable, FOLDER / "generate.py", "--check"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_dashboards_have_the_form_of_grafana(self):
        uids = set()
        self.assertEqual(len(dashboards()), 2)
        for name, board in dashboards().items():
            self.assertEqual((board["schemaVersion"], board["id"]), (41, None), name)
            self.assertEqual([i["name"] for i in board["__inputs"]], ["DS_PROMETHEUS"], name)
            self.assertNotIn(board["uid"], uids)
            uids.add(board["uid"])
            variables = {v["name"] for v in board["templating"]["list"]}
            ids, taken = [], set()
            for panel in board["panels"]:
                where = f"{name}: {panel['title']}"
                ids.append(panel["id"])
                at = panel["gridPos"]
                self.assertTrue(at["x"] >= 0 and at["y"] >= 0 and at["w"] > 0 and at["x"] + at["w"] <= 24, where)
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                self.assertFalse(cells & taken, f"{where} lies on another panel")
                taken |= cells
                if panel["type"] == "row":
                    continue
                self.assertIn(panel["type"], ("timeseries", "stat"), where)
                self.assertTrue(panel["targets"], where)
                self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}, where)
                self.assertEqual(len({t["refId"] for t in panel["targets"]}), len(panel["targets"]), where)
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"], panel["datasource"], where)
                    for variable in re.findall(r"\$(\w+)", target["expr"]):
                        self.assertIn(variable, variables | {"__rate_interval", "__range"}, where)
                    for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                        self.assertRegex(target["expr"], rf"by \([^)]*\b{label}\b|^[^(]*$|1 - |^increase|^rate", where)
            self.assertEqual(len(ids), len(set(ids)), name)
            for variable in board["templating"]["list"]:
                if variable["type"] == "query":
                    self.assertEqual(variable["datasource"]["uid"], "${DS_PROMETHEUS}", name)

    def test_the_rows_that_people_know_are_there(self):
        rows = [p["title"] for p in dashboards()["temporal-sdk.json"]["panels"] if p["type"] == "row"]
        wanted = ["CPU / Memory", "Requests", "Long Requests", "Workflow", "Workflow Task Processing", "Activities", "Slots",
                  "Sticky Cache"]
        self.assertEqual([row for row in rows if row in wanted], wanted)

    def test_dashboards_ask_for_what_exists(self):
        for name, board in dashboards().items():
            for panel in board["panels"]:
                for target in panel.get("targets", []):
                    self.check_query(target["expr"], f"{name}: {panel['title']}")
            for variable in board["templating"]["list"]:
                if variable["type"] == "query":
                    metric, label = re.fullmatch(r"label_values\((\w+)[^,]*, (\w+)\)", variable["query"]["query"]).groups()
                    self.assertIn(label, KNOWN[metric][1] | COMMON_LABELS)

    def test_alerts_ask_for_what_exists(self):
        for alert, query in rules():
            self.check_query(query, alert)

    def test_each_alert_is_tested_and_said(self):
        tests = (ROOT / "tests/k8s/rules_test.yaml").read_text()
        text = (FOLDER / "rules.yaml").read_text()
        names = [alert for alert, _ in rules()]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), text.count("- alert:"))
        for word in ("severity:", "summary:", "description:"):
            self.assertEqual(text.count(f"\n          {word}"), len(names), word)
        for name in names:
            self.assertRegex(tests, rf"alertname: {name}\n +eval_time: \S+\n +exp_alerts:\n +- exp_labels", name)

    @unittest.skipUnless(shutil.which("promtool"), "there is no promtool (package prometheus); scripts/interop has it")
    def test_promtool_agrees(self):
        for args in (["check", "rules", FOLDER / "rules.yaml"], ["test", "rules", ROOT / "tests/k8s/rules_test.yaml"],
                     ["check", "config", "--lint=all", "--lint-fatal", FOLDER / "prometheus.yaml"]):
            done = subprocess.run(["promtool", *args], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{args}: {done.stdout}{done.stderr}")


KNOWN = known_metrics()
if __name__ == "__main__":
    unittest.main(verbosity=2)
