// SPDX-License-Identifier: Apache-2.0
// Runs call() count times, concurrency at once, and prints what came of it as one line of JSON.
export async function closedLoop(count, concurrency, call) {
  const latencies = [];
  let started = 0;
  const caller = async () => {
    while (started < count) {
      started += 1;
      const begin = performance.now();
      await call();
      latencies.push(performance.now() - begin);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const seconds = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  const percentile = (p) => latencies[Math.max(0, Math.ceil((latencies.length * p) / 100) - 1)]; // nearest rank
  console.log(JSON.stringify({
    completed: latencies.length, elapsedMs: seconds * 1000, workflowsPerSecond: latencies.length / seconds,
    p50Ms: percentile(50), p95Ms: percentile(95), p99Ms: percentile(99),
  }));
}
