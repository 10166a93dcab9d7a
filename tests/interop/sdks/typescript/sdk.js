// SPDX-License-Identifier: Apache-2.0

// The official TypeScript SDK's client and worker on a server, feature by feature: node sdk.js HOST:PORT [NAME ...]. One
// line a scenario, exit code 1 when one failed.
const assert = require("node:assert/strict");
const { createCipheriv, createDecipheriv, randomBytes, randomUUID } = require("node:crypto");
const path = require("node:path");
const { Client, Connection, WithStartWorkflowOperation } = require("@temporalio/client");
const { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } = require("@temporalio/worker");
const { temporal } = require("@temporalio/proto");
const activities = require("./activities.js");

const queue = `typescript-${randomUUID().slice(0, 8)}`;
const KEY = Buffer.alloc(32, "k");
let client, address;

const options = (workflowId, rest) => ({ taskQueue: queue, workflowId: `${queue}-${workflowId}`, ...rest });
const start = (name, workflowId, rest) => client.workflow.start(name, options(workflowId, rest));
const execute = (name, workflowId, rest) => client.workflow.execute(name, options(workflowId, rest));

// Asks again until there is something; lists of runs may lag behind.
async function until(what, ask) {
  for (let i = 0; i < 600; i++) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`${what} did not happen`);
}

async function pendingActivity(handle) {
  return until("the activity's start", async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities.find((a) => a.state === 2); // STARTED
  });
}

// AES-256-GCM around each payload.
const sealing = {
  async encode(payloads) {
    return payloads.map((payload) => {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
      const plain = temporal.api.common.v1.Payload.encode(payload).finish();
      const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      return { metadata: { encoding: Buffer.from("binary/encrypted") }, data };
    });
  },
  async decode(payloads) {
    return payloads.map(({ data }) => {
      const cipher = createDecipheriv("aes-256-gcm", KEY, data.subarray(0, 12));
      cipher.setAuthTag(data.subarray(data.length - 16));
      const plain = Buffer.concat([cipher.update(data.subarray(12, data.length - 16)), cipher.final()]);
      return temporal.api.common.v1.Payload.decode(plain);
    });
  },
};

const scenarios = {
  async hello() {
    assert.equal(await execute("hello", "hello", { args: ["you"] }), "Hello you!");
  },

  async local() {
    assert.equal(await execute("locally", "local", { args: ["x"] }), "Hello Hello Hello x!!!");
  },

  async retries() {
    assert.equal(await execute("retried", "retried"), 20);
  },

  async failures() {
    const error = await execute("refused", "refused").then(assert.fail, (e) => e);
    const cause = error.cause.cause;
    assert.deepEqual([cause.type, cause.message, cause.details], ["Refused", "no money", ["money"]]);
  },

  async "signals-and-queries"() {
    const handle = await client.workflow.signalWithStart("cart", options("signals", {
      signal: "put", signalArgs: ["first"] }));
    await handle.signal("put", "second");
    assert.deepEqual(await handle.query("items"), ["first", "second"]);
    await handle.signal("close");
    assert.deepEqual(await handle.result(), ["first", "second"]);
    assert.deepEqual(await handle.query("items"), ["first", "second"]); // of a closed run
  },

  async updates() {
    const handle = await start("cart", "updates");
    const update = await handle.startUpdate("add", { args: ["apple"], updateId: "one", waitForStage: "ACCEPTED" });
    assert.equal(await update.result(), 1);
    assert.equal(await handle.executeUpdate("add", { args: ["apple"], updateId: "one" }), 1); // the same
    const error = await handle.executeUpdate("add", { args: [""] }).then(assert.fail, (e) => e);
    assert.match(error.cause.message, /an item has a name/);
    await handle.signal("close");
    assert.deepEqual(await handle.result(), ["apple"]);
  },

  async "update-with-start"() {
    for (const [i, item] of ["apple", "pear"].entries()) {
      const startWorkflowOperation = new WithStartWorkflowOperation("cart", options("with-start", {
        workflowIdConflictPolicy: "USE_EXISTING" }));
      const count = await client.workflow.executeUpdateWithStart("add", { args: [item], startWorkflowOperation });
      assert.equal(count, i + 1);
    }
    await client.workflow.getHandle(`${queue}-with-start`).signal("close");
  },

  async children() {
    assert.equal(await execute("parent", "parent"), "Hello child!");
  },

  async external() {
    const left = `${queue}-left`;
    await execute("orphan", "orphan", { args: [left] });
    await execute("teller", "teller", { args: [left] });
    const handle = client.workflow.getHandle(left);
    await handle.signal("close");
    assert.deepEqual(await handle.result(), ["from afar"]);
  },

  async "continue-as-new"() {
    assert.equal(await execute("count", "count", { args: [1] }), 5);
  },

  async cancellation() {
    const handle = await start("cancellable", "cancellable");
    await pendingActivity(handle);
    await handle.cancel();
    const error = await handle.result().then(assert.fail, (e) => e);
    assert.equal(error.cause.name, "CancelledFailure");
  },

  async saga() {
    assert.deepEqual(await execute("saga", "saga"), ["no hotel", "no flight"]);
  },

  async race() {
    assert.equal(await execute("race", "race"), "Hello you!");
  },

  async time() {
    assert.equal(await execute("timed", "timed"), true);
  },

  async "workflow-retries"() {
    assert.equal(await execute("flaky", "flaky", { retry: { initialInterval: 10, maximumAttempts: 5 } }), 3);
  },

  async "start-delay"() {
    const began = Date.now();
    await execute("hello", "delayed", { args: ["late"], startDelay: "1 second" });
    assert(Date.now() - began > 900);
  },

  async "completed-later"() {
    const handle = await start("pending", "pending");
    const { activityId } = await pendingActivity(handle);
    await client.activity.complete({ workflowId: handle.workflowId, activityId }, "by hand");
    assert.equal(await handle.result(), "by hand");
  },

  async reset() {
    const handle = await client.workflow.signalWithStart("cart", options("reset", {
      signal: "put", signalArgs: ["kept"] }));
    await handle.query("items"); // so a task was completed
    await handle.signal("put", "reapplied");
    const { events } = await handle.fetchHistory();
    const { runId } = await client.workflowService.resetWorkflowExecution({
      namespace: "default", reason: "again", requestId: randomUUID(),
      workflowExecution: { workflowId: handle.workflowId, runId: handle.signaledRunId },
      workflowTaskFinishEventId: events.find((event) => event.workflowTaskCompletedEventAttributes).eventId });
    const again = client.workflow.getHandle(handle.workflowId, runId);
    await again.signal("close");
    assert.deepEqual(await again.result(), ["kept", "reapplied"]);
  },

  async terminate() {
    const handle = await start("cart", "terminated");
    await handle.terminate("enough");
    const error = await handle.result().then(assert.fail, (e) => e);
    assert.equal(error.cause.name, "TerminatedFailure");
  },

  async search() {
    await client.connection.operatorService
      .addSearchAttributes({ namespace: "default", searchAttributes: { TypeScriptMark: 2 } }) // KEYWORD
      .catch((error) => assert.match(error.details, /already exist/));
    // A real server takes some moments to know a new attribute.
    await until("the attribute", () => execute("searched", `searched-${randomUUID()}`, { args: [queue],
      workflowExecutionTimeout: "5 seconds" }).then(() => true, () => false));
    const query = `TypeScriptMark = '${queue}' AND ExecutionStatus = 'Completed'`;
    await until("the list", async () => {
      for await (const found of client.workflow.list({ query })) return found.memo.mark === queue;
    });
    assert((await client.workflow.count(query)).count >= 1);
  },

  async schedule() {
    const handle = await client.schedule.create({
      scheduleId: queue,
      spec: { intervals: [{ every: "1 hour" }] },
      action: { type: "startWorkflow", workflowType: "hello", args: ["schedule"], taskQueue: queue },
      memo: { team: "sdk" },
    });
    await handle.trigger();
    const workflowId = await until("the scheduled run", async () => {
      const { info } = await handle.describe();
      assert(info.nextActionTimes.length > 0);
      return info.recentActions[0]?.action.workflow.workflowId;
    });
    assert.equal(await client.workflow.getHandle(workflowId).result(), "Hello schedule!");
    await handle.pause("rest");
    const { state } = await handle.describe();
    assert.deepEqual([state.paused, state.note], [true, "rest"]);
    await handle.update((old) => ({ ...old, spec: { intervals: [{ every: "2 hours" }] } }));
    await until("the schedule in the list", async () => {
      for await (const found of client.schedule.list()) if (found.scheduleId === queue) return true;
    });
    await handle.delete();
  },

  async cron() {
    const handle = await start("hello", "cron", { args: ["cron"], cronSchedule: "@every 1s" });
    const current = client.workflow.getHandle(handle.workflowId);
    await until("two runs", async () => (await current.describe()).runId !== handle.firstExecutionRunId);
    await current.terminate("enough");
  },

  // A run that began with the old code ends with the old code's answer on a worker that has the new one.
  async versions() {
    const place = { taskQueue: `${queue}-versions` };
    for (const [i, file] of ["old-code.js", "new-code.js"].entries()) {
      await serve({ ...place, workflowsPath: path.join(__dirname, file) }, async () => {
        const handle = await start("changing", `version-${i}`, place);
        await until("the first task", async () => (await handle.describe()).historyLength >= 4);
        for (let j = 0; i === 1 && j < 2; j++) {
          const each = client.workflow.getHandle(`${queue}-version-${j}`);
          await each.signal("go");
          assert.equal(await each.result(), ["old", "new"][j]);
        }
      });
    }
  },

  // The server never sees what the workflow is told.
  async encryption() {
    const dataConverter = { payloadCodecs: [sealing] };
    const sealed = new Client({ connection: client.connection, dataConverter });
    const taskQueue = `${queue}-sealed`;
    await serve({ taskQueue, dataConverter }, async () => {
      const said = await sealed.workflow.execute("hello", options("sealed", { taskQueue, args: ["you"] }));
      assert.equal(said, "Hello you!");
    });
    const history = JSON.stringify(await client.workflow.getHandle(`${queue}-sealed`).fetchHistory());
    assert(!history.includes(Buffer.from('"Hello you!"').toString("base64")), "the result is readable");
  },
};

let bundle;

// Runs a worker while the function runs.
async function serve(settings, play) {
  const connection = await NativeConnection.connect({ address });
  const code = settings.workflowsPath ? {} : { workflowBundle: bundle };
  const worker = await Worker.create({ connection, activities, taskQueue: queue, shutdownGraceTime: 0, ...code, ...settings });
  await worker.runUntil(play());
  await connection.close();
}

async function main() {
  const [where, ...names] = process.argv.slice(2);
  if (!where) {
    console.error("usage: node sdk.js HOST:PORT [NAME ...]");
    process.exit(64);
  }
  address = where;
  const logger = new DefaultLogger("ERROR", () => {}); // some scenarios' failures are part of them
  Runtime.install({ logger, telemetryOptions: { logging: { forward: {}, filter: "OFF" } } });
  bundle = await bundleWorkflowCode({ workflowsPath: path.join(__dirname, "workflows.js"), logger });
  client = new Client({ connection: await Connection.connect({ address }) });
  let failed = 0;
  const play = async ([name, scenario]) => {
    const began = Date.now();
    const late = new Promise((_, refuse) => setTimeout(() => refuse(new Error("took too long")), 60_000).unref());
    try {
      await Promise.race([scenario(), late]);
      console.log(`ok    ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}: ${error.stack}${error.cause ? `\n${error.cause.stack}` : ""}`);
    }
  };
  const chosen = Object.entries(scenarios).filter(([name]) => names.length === 0 || names.includes(name));
  await serve({}, () => Promise.all(chosen.map(play)));
  process.exit(failed ? 1 : 0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
