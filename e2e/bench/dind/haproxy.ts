import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fetchPackageTree } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";
import type { FilteredDocker } from "../../../packages/dind/test/support/filtered-docker.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";

const clients = 16;

/** Requests per second beside HAProxy, which looks at paths alone, in front of the same dockerd. */
export async function* besideHaproxy(
  pod: FilteredDocker,
  { quick, progress, signal }: BenchmarkContext,
): AsyncIterable<Row> {
  progress("HAProxy");
  await using haproxy = await startHaproxy(pod.dockerd.folder, pod.dockerd.socket, signal);
  for (const path of ["/_ping", "/containers/json"]) {
    const own: number[] = [];
    const peer: number[] = [];
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      peer.push(await rateOf(haproxy.socket, path, quick ? 200 : 2000));
      own.push(await rateOf(pod.socket, path, quick ? 200 : 2000));
    }
    yield row({
      name: `GET ${path} by ${clients} clients, beside HAProxy`,
      unit: "calls/s",
      value: median(own),
      peer: median(peer),
    });
  }
}

async function startHaproxy(
  folder: string,
  dockerd: string,
  signal: AbortSignal,
): Promise<AsyncDisposable & { readonly socket: string }> {
  const { root } = await fetchPackageTree({ cache: testCache, name: "haproxy", signal });
  const socket = join(folder, "haproxy.sock");
  const config = join(folder, "haproxy.cfg");
  await writeFile(
    config,
    `global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend docker
  bind unix@${socket} mode 600
  http-request deny unless { path,url_dec -m reg ^(/v[0-9.]+)?/(_ping|version|info|containers|images|networks|volumes)(/.*)?$ }
  default_backend dockerd
backend dockerd
  server dockerd unix@${dockerd}
`,
  );
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const loader = [
    join(libraries, "ld-linux-x86-64.so.2"),
    join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
  ];
  const [program, ...words] = [
    loader.find((path) => existsSync(path)) ?? "",
    "--library-path",
    `${libraries}:${join(root, "lib/x86_64-linux-gnu")}`,
    join(root, "usr/sbin/haproxy"),
    "-db",
    "-f",
    config,
  ];
  const child = spawn(program, words, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(child, "exit");
  while (!existsSync(socket)) {
    if (child.exitCode !== null) throw new Error("HAProxy did not start");
    await sleep(20, undefined, { signal });
  }
  return {
    socket,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function rateOf(socketPath: string, path: string, calls: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const call = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    request({ socketPath, path, agent }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${path}: ${answer.statusCode}`));
      answer.on("end", resolve).resume();
    })
      .on("error", reject)
      .end();
    await promise;
  };
  let left = calls;
  const from = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (left > 0) {
        left -= 1;
        await call();
      }
    }),
  );
  agent.destroy();
  return calls / ((performance.now() - from) / 1000);
}
