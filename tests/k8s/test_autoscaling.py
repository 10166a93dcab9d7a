#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""k8s/autoscaling: what the ScaledObjects name is there: deployments, ports, metrics with their labels, members of the
supervisor's answer, keys of its scaler."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "k8s/autoscaling"
ROLES = {"workflow", "io-activity", "cpu-activity"}


def text_of(name):
    return (FOLDER / name).read_text()


class Autoscaling(unittest.TestCase):
    def test_targets_are_deployments(self):
        base = "".join(path.read_text() for path in sorted((ROOT / "k8s/base").glob("*-worker.yaml")))
        for name in ["metrics-api.yaml", "external/scaled-objects.yaml"]:
            targets = re.findall(r"scaleTargetRef:\n    name: (\S+)", text_of(name))
            self.assertEqual(len(targets), 3, name)
            for target in targets:
                self.assertIn(f"kind: Deployment\nmetadata:\n  name: {target}\n", base)

    def test_queries_name_metrics_of_the_table(self):
        table = (ROOT / "common/telemetry/metric_names.h").read_text()
        queries = re.findall(r"query: (\w+)\{(\w+)=\"([^\"]+)\"\}", text_of("guide.yaml"))
        self.assertEqual([(name, queue) for name, _, queue in queries],
                         [("temporal_workflow_task_queue_depth", "document-workflow-queue"),
                          ("temporal_activity_task_queue_depth", "document-io-activity-queue")])
        for name, label, queue in queries:
            labels = re.search(rf'"{name}", "([\w,]+)"', table)[1].split(",")
            self.assertIn(label, labels)
            self.assertIn(queue, "".join(path.read_text() for path in (ROOT / "config").glob("*.yaml")))

    def test_ports(self):
        service = (ROOT / "k8s/base/supervisor.yaml").read_text()
        for port in set(re.findall(r"url: http://flotilla-supervisor\.flotilla\.svc:(\d+)/", text_of("metrics-api.yaml"))):
            self.assertIn(f"port: {port}\n", service)
        component = text_of("external/kustomization.yaml")
        for port in set(re.findall(r"scalerAddress: \S+:(\d+)", text_of("external/scaled-objects.yaml"))):
            self.assertIn(f"port: {port}\n", component)
            self.assertIn(f"scaling.grpc=0.0.0.0:{port}\n", component)

    def answer(self, url):
        """Just started it has no count yet, and says so: KEDA leaves the count as it is then."""
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                self.assertEqual(error.code, 503)
                self.assertIn("just started", json.load(error)["error"])
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.2)

    def test_the_supervisor_answers(self):
        """Each url is served, and what valueLocation names is a number there; the scaler starts as the component says."""
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "fleet.yaml"
            config.write_text(f"state_dir: {folder}/state\nengine: {{enabled: false}}\nhealth: {{port: 0}}\n"
                              "metrics: {port: 0}\n")
            child = subprocess.Popen(
                [os.environ["FLOTILLA_BIN"] + "/flotilla-supervisor", "--config", config, "--set",
                 "scaling.grpc=127.0.0.1:0", "--set", "scaling.insecure=true"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                said = {}
                while not {"http", "grpc"} <= set(said):
                    line = child.stdout.readline()
                    self.assertTrue(line, "the supervisor ended")
                    found = re.match(r"\S+: (\w+) listening on (\S+)", line)
                    said.update({found[1]: found[2]} if found else {})
                pairs = re.findall(r"url: http://[^/]+(\S+)\n\s+valueLocation: (\S+)", text_of("metrics-api.yaml"))
                self.assertEqual(len(pairs), 3)
                for path, member in pairs:
                    self.assertIsInstance(self.answer(f"http://{said['http']}{path}")[member], int)
            finally:
                child.terminate()
                self.assertEqual(child.wait(20), 0)
                child.stdout.close()

    def test_keys_of_the_scaler(self):
        for metadata in re.findall(r"metadata:\n((?:        \S+: .*\n)+)", text_of("external/scaled-objects.yaml")):
            keys = dict(line.strip().split(": ", 1) for line in metadata.splitlines())
            self.assertEqual(set(keys), {"scalerAddress", "role"})
            self.assertIn(keys["role"], ROLES)


if __name__ == "__main__":
    unittest.main()
