// SPDX-License-Identifier: Apache-2.0
// Calls Workflow/echo through Restate's ingress, so many at once, checks every answer, and prints one line of JSON.
// usage: node load.mjs HOST:PORT COUNT CONCURRENCY
import http from "node:http";
import { closedLoop } from "../closed_loop.mjs";

const [target, count, concurrency] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const [host, port] = target.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });
const body = JSON.stringify("hello");
const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
const options = { agent, host, port, method: "POST", path: "/Workflow/echo", headers };

function call() {
  return new Promise((resolve, reject) => {
    const request = http.request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => (text += part));
      response.on("end", () => {
        if (response.statusCode === 200 && text === body) resolve();
        else reject(new Error(`status ${response.statusCode}: ${text}`));
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

await closedLoop(count, concurrency, call);
agent.destroy();
