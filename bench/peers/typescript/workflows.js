// SPDX-License-Identifier: Apache-2.0

// The workflows of modules/echo and modules/loadtest that the benchmark runs. Plain JavaScript: what TypeScript becomes.
const { condition, defineSignal, proxyActivities, setHandler, sleep } = require("@temporalio/workflow");

const { echo } = proxyActivities({ startToCloseTimeout: "10 seconds" });
const ping = defineSignal("ping");
const upTo = (n) => Array.from({ length: n }, (_, i) => i);

exports.EchoWorkflow = (value) => echo(value);

exports.ChainWorkflow = async ({ n }) => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += await echo(i);
  return sum;
};

exports.FanWorkflow = async ({ n }) => {
  const values = await Promise.all(upTo(n).map((i) => echo(i)));
  return values.reduce((sum, value) => sum + value, 0);
};

exports.SignalWorkflow = async ({ n }) => {
  let pings = 0;
  setHandler(ping, () => void pings++);
  await condition(() => pings >= n);
  return n;
};

exports.TimerWorkflow = async ({ n, ms }) => {
  await Promise.all(upTo(n).map(() => sleep(ms)));
  return n;
};
