/** Speaks the filter's contract and filters nothing: shows the controller alone. */
import { readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { readyLine, type FilterConfig } from "../src/filter/filter-config.ts";

const config: FilterConfig = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
for (const fd of config.listeners)
  createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ path: config.upstream, allowHalfOpen: true });
    for (const socket of [client, upstream])
      socket.on("error", () => {
        client.destroy();
        upstream.destroy();
      });
    client.pipe(upstream);
    upstream.pipe(client);
  }).listen({ fd });
rmSync(config.controlSocket, { force: true });
createHttpServer((request, response) => {
  request.resume();
  response.end(JSON.stringify({ pid: process.pid, connections: 0, pins: 0, lost: [] }));
  if (request.url === "/stop") response.once("finish", () => process.exit(0));
}).listen(config.controlSocket, () => process.stdout.write(`${readyLine}\n`));
