// SPDX-License-Identifier: Apache-2.0

// The workflow `changing` before its change; new-code.js has it afterwards.
const { condition, defineSignal, setHandler } = require("@temporalio/workflow");

exports.changing = async () => {
  let told = false;
  setHandler(defineSignal("go"), () => void (told = true));
  await condition(() => told);
  return "old";
};
