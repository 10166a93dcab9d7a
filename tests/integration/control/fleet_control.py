# SPDX-License-Identifier: Apache-2.0
"""Workers that report to a ROUTER of the test's, which commands them."""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support import BIN, FleetTest, flotilla, ready  # noqa: E402
from router import Router  # noqa: E402

MODULES = BIN.parent / "tests/modules"
QUEUE = "control"


class ControlTest(FleetTest):
    def setUp(self):
        super().setUp()
        self.fleet.engine()
        self.endpoint = f"ipc://{self.fleet.folder.name}/supervisor.sock"
        self.router = Router(self.endpoint)
        self.addCleanup(self.router.close)

    def start_worker(self, role, module="lifecycle", text="", below=".", queues=(), **settings):
        """A ready worker on QUEUE with more YAML in its file, in a folder below the fleet's; (process, boot id)."""
        path = module if module in ("echo", "loadtest", "document") else MODULES / f"{module}.so"
        config = pathlib.Path(self.fleet.folder.name) / below / f"{role}.yaml"
        config.parent.mkdir(parents=True, exist_ok=True)
        polled = f"task_queue: {QUEUE}" if not queues else f"queues: [{', '.join(f'{{name: {q}}}' for q in queues)}]"
        config.write_text(f"server: {{address: \"{self.fleet.target}\"}}\n{polled}\n"
                          f"modules: [{{path: \"{path}\", unchecked: true}}]\nhealth: {{port: 0}}\nmetrics: {{port: 0}}\n"
                          f"supervisor: {{endpoint: \"{self.endpoint}\", interval: 100ms}}\n"
                          f"shutdown_timeout: 2s\nexecutor: {{grace: 200ms}}\n{text}")
        sets = [x for k, v in settings.items() for x in ("--set", f"{k.replace('__', '.')}={v}")]
        env = {"FLOTILLA_STATE_DIR": f"{self.fleet.folder.name}/state"}
        worker = self.fleet.start(role, [BIN / role, "--config", config, *sets], env)
        worker.config = config
        ready(worker)
        return worker, self.router.boot(role.replace("-worker", ""))

    def start_workflow(self, workflow_id, type_name, value):
        code, _, err = flotilla(self.fleet.target, "start", "--type", type_name, "--task-queue", QUEUE,
                                "--workflow-id", workflow_id, "--input", json.dumps(value))
        self.assertEqual(code, 0, err)

    def result(self, workflow_id):
        code, out, err = flotilla(self.fleet.target, "result", workflow_id)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def obeyed(self, boot, command, timeout=30, **args):
        ack = self.router.command(boot, command, timeout, args)
        self.assertTrue(ack["ok"], ack)
        return ack

    def denied(self, boot, command, sentence, **args):
        """Refused, with a sentence that has these words."""
        ack = self.router.command(boot, command, args=args)
        self.assertFalse(ack["ok"], ack)
        self.assertIn(sentence, ack["message"])
        return ack

    def dump(self, boot):
        return self.obeyed(boot, "dump")["data"]

    def setting(self, boot, key):
        one = self.dump(boot)["settings"][key]
        return one["value"], one["from"]
