// SPDX-License-Identifier: Apache-2.0
const { ApplicationFailure, CompleteAsyncError, Context, heartbeat } = require("@temporalio/activity");

exports.greet = async (name) => `Hello ${name}!`;

// Fails until its third attempt, which goes on from the heartbeat of the second.
exports.climb = async () => {
  const { attempt, heartbeatDetails } = Context.current().info;
  const at = heartbeatDetails ?? 0;
  if (attempt >= 3) return at;
  heartbeat(at + 10);
  throw new Error("slipped");
};

// Beats until it is cancelled.
exports.wait = async () => {
  for (;;) {
    heartbeat("waiting");
    await Context.current().sleep(50);
  }
};

exports.refuse = async (what) => {
  throw ApplicationFailure.create({ message: `no ${what}`, type: "Refused", nonRetryable: true, details: [what] });
};

// Completed by somebody else.
exports.later = async () => {
  throw new CompleteAsyncError();
};

exports.note = async (what) => what;
