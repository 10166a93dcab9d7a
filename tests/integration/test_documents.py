#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The document pipeline on the engine, and what becomes of tasks that cannot work."""
import functools
import http.server
import json
import pathlib
import threading
import unittest

from support import BIN, FleetTest, LICENCES, finish_batch, flotilla, ready, start_batch, wait_for


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Documents(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine("--db", f"{self.fleet.folder.name}/engine.db")
        self.workers = self.fleet.document_workers()
        for worker in self.workers:
            ready(worker)

    def result(self, uri):
        code, out, err = flotilla(self.fleet.target, "start", "--type", "DocumentWorkflow", "--task-queue",
                                  "document-workflow-queue", "--input", json.dumps({"uri": uri}), "--wait")
        return code, json.loads(out) if code == 0 else out, err

    def test_licences_are_read(self):
        batch = finish_batch(self, start_batch(self.fleet.target, "documents", LICENCES))
        self.assertEqual(batch["failed"], 0)
        gpl = next(d for d in batch["documents"] if d["uri"].endswith("/GPL-3"))
        self.assertEqual(gpl["language"], "en")
        self.assertGreater(gpl["words"], 5000)
        self.assertIn("license", [t["term"] for t in gpl["top_terms"]])

    def test_near_duplicate_is_found(self):
        folder = pathlib.Path(self.fleet.folder.name)
        text = pathlib.Path(LICENCES, "Apache-2.0").read_text()
        (folder / "one.txt").write_text(text)
        (folder / "two.txt").write_text(text.replace("Licensor", "Giver", 3))
        code, _, err = self.result(f"file://{folder}/one.txt")
        self.assertEqual(code, 0, err)
        code, two, err = self.result(f"file://{folder}/two.txt")
        self.assertEqual(code, 0, err)
        self.assertEqual([d["uri"] for d in two["near_duplicates"]], [f"file://{folder}/one.txt"])

    def test_http_and_markup(self):
        folder = pathlib.Path(self.fleet.folder.name, "www")
        folder.mkdir()
        (folder / "page.html").write_text("<html><body><h1>Hello</h1><p>the cat and the dog</p><script>x()</script></body></html>")
        (folder / "page.md").write_text("# Hello\n\nthe *cat* and the [dog](http://example.invalid/)\n")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        for name in ["page.html", "page.md"]:
            code, result, err = self.result(f"{base}/{name}")
            self.assertEqual(code, 0, err)
            self.assertEqual(result["words"], 6, result)
        code, _, err = self.result(f"{base}/absent.html")
        self.assertEqual(code, 1)
        self.assertIn("DocumentNotFound", err)

    def test_document_that_does_not_exist(self):
        code, _, err = self.result("file:///no/such/document")
        self.assertEqual(code, 1)
        self.assertIn("DocumentNotFound", err)
        self.assertIn("/no/such/document", err)

    def test_binary_and_nonsense_are_refused(self):
        for uri, kind in [(f"file://{BIN}/flotilla", "UnsupportedDocument"), ("gopher://x/", "DocumentRefused"),
                          ("file:///dev/zero", "DocumentRefused")]:
            code, _, err = self.result(uri)
            self.assertEqual(code, 1, uri)
            self.assertIn(kind, err)
        code, _, err = flotilla(self.fleet.target, "start", "--type", "DocumentWorkflow", "--task-queue",
                                "document-workflow-queue", "--input", "5", "--wait")
        self.assertEqual(code, 1)
        self.assertIn("InvalidInput", err)

    def test_unknown_workflow_type(self):
        """The task fails as the official SDKs do it; the worker lives on."""
        code, _, err = flotilla(self.fleet.target, "start", "--type", "NoSuchWorkflow", "--task-queue",
                                "document-workflow-queue", "--workflow-id", "unknown-type")
        self.assertEqual(code, 0, err)

        def task_failed():
            return "WORKFLOW_TASK_FAILED" in flotilla(self.fleet.target, "history", "unknown-type")[1]
        wait_for(task_failed, "the failed workflow task")
        out = flotilla(self.fleet.target, "history", "unknown-type", "--output", "json")[1]
        self.assertIn("NoSuchWorkflow", out)
        self.assertEqual(self.result(f"file://{LICENCES}/BSD")[0], 0)


if __name__ == "__main__":
    unittest.main()
