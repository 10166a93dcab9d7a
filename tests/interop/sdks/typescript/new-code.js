// SPDX-License-Identifier: Apache-2.0
const { condition, defineSignal, patched, setHandler } = require("@temporalio/workflow");

exports.changing = async () => {
  const isNew = patched("change");
  let told = false;
  setHandler(defineSignal("go"), () => void (told = true));
  await condition(() => told);
  return isNew ? "new" : "old";
};
