// SPDX-License-Identifier: Apache-2.0
// The echo workflow on Restate: a service that durably calls another one, which gives its input back.
// usage: node service.mjs      prints "restate-service: http listening on 127.0.0.1:PORT"
import http2 from "node:http2";
import * as restate from "@restatedev/restate-sdk";

const activity = restate.service({
  name: "Activity",
  handlers: { echo: async (ctx, value) => value },
});

const workflow = restate.service({
  name: "Workflow",
  handlers: { echo: async (ctx, value) => ctx.serviceClient(activity).echo(value) },
});

const server = http2.createServer(restate.endpoint().bind(workflow).bind(activity).http2Handler());
server.listen(0, "127.0.0.1", () =>
  console.log(`restate-service: http listening on 127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
