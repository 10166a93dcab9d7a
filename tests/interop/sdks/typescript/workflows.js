// SPDX-License-Identifier: Apache-2.0

// The workflows of sdk.js. Plain JavaScript: what TypeScript becomes.
const wf = require("@temporalio/workflow");

const retry = { initialInterval: 10, maximumAttempts: 5 };
const remote = wf.proxyActivities({
  startToCloseTimeout: "20 seconds",
  heartbeatTimeout: "3 seconds",
  cancellationType: "WAIT_CANCELLATION_COMPLETED",
  retry,
});
const local = wf.proxyLocalActivities({ scheduleToCloseTimeout: "5 seconds" });

exports.hello = (name) => remote.greet(name);

exports.locally = async (name) => {
  for (let i = 0; i < 3; i++) name = await local.greet(name);
  return name;
};

exports.retried = () => remote.climb();
exports.refused = () => remote.refuse("money");
exports.pending = () => remote.later();

// Told by signals and updates what it holds, asked by queries.
exports.cart = async () => {
  const items = [];
  let closed = false;
  wf.setHandler(wf.defineQuery("items"), () => items);
  wf.setHandler(wf.defineSignal("put"), (item) => void items.push(item));
  wf.setHandler(wf.defineSignal("close"), () => void (closed = true));
  wf.setHandler(
    wf.defineUpdate("add"),
    async (item) => items.push(await remote.note(item)),
    {
      validator: (item) => {
        if (!item) throw new Error("an item has a name");
      },
    },
  );
  await wf.condition(() => closed && wf.allHandlersFinished());
  return items;
};

// Two children; one is cancelled.
exports.parent = async () => {
  const name = await wf.executeChild("hello", { args: ["child"] });
  const scope = new wf.CancellationScope();
  try {
    await scope.run(async () => {
      const child = await wf.startChild("cancellable", { cancellationType: "WAIT_CANCELLATION_COMPLETED" });
      scope.cancel();
      await child.result();
    });
  } catch (error) {
    if (!wf.isCancellation(error)) throw error;
    return name;
  }
  throw wf.ApplicationFailure.nonRetryable("the child was not cancelled");
};

exports.orphan = async (workflowId) => {
  await wf.startChild("cart", { workflowId, parentClosePolicy: "ABANDON" });
};

exports.teller = (workflowId) => wf.getExternalWorkflowHandle(workflowId).signal("put", "from afar");

exports.count = async (n) => {
  await wf.sleep(1);
  if (n < 5) await wf.continueAsNew(n + 1);
  return n;
};

// Cleans up after it was cancelled.
exports.cancellable = async () => {
  try {
    await remote.wait();
  } finally {
    await wf.CancellationScope.nonCancellable(() => remote.note("cleaned"));
  }
};

// Books three things, fails at the third, takes the others back.
exports.saga = async () => {
  const undo = [];
  for (const what of ["flight", "hotel"]) {
    await remote.note(what);
    undo.unshift(() => remote.note(`no ${what}`));
  }
  try {
    await remote.refuse("car");
  } catch {
    const undone = [];
    for (const step of undo) undone.push(await step());
    return undone;
  }
};

exports.race = () => Promise.race([wf.sleep("1 hour").then(() => "timer"), remote.greet("you")]);

exports.searched = async (mark) => {
  wf.upsertSearchAttributes([
    { key: { name: "TypeScriptMark", type: "KEYWORD" }, value: mark },
  ]);
  wf.upsertMemo({ mark });
};

// By its own retry policy.
exports.flaky = async () => {
  const { attempt } = wf.workflowInfo();
  if (attempt < 3) throw wf.ApplicationFailure.retryable("not yet");
  return attempt;
};

exports.timed = async () => {
  const began = Date.now();
  await wf.sleep(20);
  return Date.now() - began >= 20 && wf.uuid4() !== wf.uuid4() && Math.random() < 1;
};
