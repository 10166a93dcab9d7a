// SPDX-License-Identifier: Apache-2.0

// The benchmark's workflows served by the TypeScript SDK.
const { parseArgs } = require("node:util");
const { DefaultLogger, NativeConnection, Runtime, Worker } = require("@temporalio/worker");

async function main() {
  const { values } = parseArgs({
    options: {
      address: { type: "string", default: "127.0.0.1:7233" },
      "task-queue": { type: "string", default: "benchmark" },
      polls: { type: "string", default: "10" },
      slots: { type: "string", default: "100" },
      "activity-polls": { type: "string", default: "10" },
      "activity-slots": { type: "string", default: "100" },
    },
  });
  Runtime.install({ logger: new DefaultLogger("ERROR") });
  const connection = await NativeConnection.connect({ address: values.address });
  const worker = await Worker.create({
    connection,
    taskQueue: values["task-queue"],
    workflowsPath: require.resolve("./workflows.js"),
    activities: { echo: async (value) => value },
    maxConcurrentWorkflowTaskPolls: Number(values.polls),
    maxConcurrentActivityTaskPolls: Number(values["activity-polls"]),
    maxConcurrentWorkflowTaskExecutions: Number(values.slots),
    maxConcurrentActivityTaskExecutions: Number(values["activity-slots"]),
  });
  console.log("typescript-worker: ready");
  await worker.run();
  await connection.close();
}

main().catch((error) => {
  console.error("typescript-worker:", error);
  process.exit(1);
});
