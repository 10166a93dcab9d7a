// SPDX-License-Identifier: Apache-2.0
// The echo job on BullMQ: its worker, a producer that awaits each result, and one that only fills the queue.
// usage: node jobs.mjs PORT worker
//        node jobs.mjs PORT loop COUNT CONCURRENCY     (prints one line of JSON)
//        node jobs.mjs PORT fill COUNT
import { Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { closedLoop } from "../closed_loop.mjs";

const [port, what, ...numbers] = process.argv.slice(2);
const connect = () => new Redis({ port: Number(port), host: "127.0.0.1", maxRetriesPerRequest: null });
const [count, concurrency] = numbers.map(Number);
const keepNone = { removeOnComplete: true }; // a finished job leaves nothing behind
const keepSome = { removeOnComplete: { count: 1000 } }; // who waits for a job looks it up first

async function loop() {
  const queue = new Queue("bench", { connection: connect() });
  const events = new QueueEvents("bench", { connection: connect() });
  await events.waitUntilReady();
  for (const emitter of [queue, events]) emitter.setMaxListeners(0); // each wait listens to both
  await closedLoop(count, concurrency, async () => {
    const job = await queue.add("echo", "hello", keepSome);
    if ((await job.waitUntilFinished(events)) !== "hello") throw new Error("a result is wrong");
  });
}

async function fill() {
  const queue = new Queue("bench", { connection: connect() });
  for (let left = count; left > 0; left -= 1000) {
    await queue.addBulk(Array.from({ length: Math.min(left, 1000) }, () => ({ name: "echo", data: "hello", opts: keepNone })));
  }
}

if (what === "worker") {
  const worker = new Worker("bench", async (job) => job.data, { connection: connect(), concurrency: 50 });
  worker.on("failed", (job, error) => console.error("failed:", error));
  worker.on("error", (error) => console.error("error:", error));
} else {
  await (what === "loop" ? loop() : fill());
  process.exit(0);
}
