import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { docker } from "../../../packages/dind/test/support/cli.ts";
import type { FilteredDocker } from "../../../packages/dind/test/support/filtered-docker.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";
import { alternate } from "./alternate.ts";

/** How fast files and images come in through the filter, beside dockerd's own socket. */
export async function* uploads(
  pod: FilteredDocker,
  { quick, progress }: BenchmarkContext,
): AsyncIterable<Row> {
  const megabytes = quick ? 20 : 300;
  const file = join(pod.dockerd.folder, "large");
  await using handle = await open(file, "w");
  for (let written = 0; written < megabytes; written += 1)
    await handle.write(Buffer.alloc(1024 ** 2, written));
  const rounds = quick ? 1 : 10;
  const rate = (from: number): number => (megabytes * 1024 ** 2) / 1e6 / ((performance.now() - from) / 1000);
  progress("cp");
  await docker(pod, ["run", "-d", "--name", "box", "busybox", "sleep", "100000"]);
  const copies = await alternate(rounds, pod, async (_socket, raw) => {
    const from = performance.now();
    const { code, text } = await docker(pod, ["cp", "-q", file, "box:/large"], { raw, timeoutMs: 120_000 });
    if (code !== 0) throw new Error(text);
    return rate(from);
  });
  await docker(pod, ["rm", "-f", "box"]);
  const goal = { of: "ratio", atLeast: 0.8 } as const;
  yield row({
    name: "docker cp into a container",
    unit: "MB/s",
    value: median(copies.own),
    peer: median(copies.peer),
    goal,
  });
  progress("load");
  const archive = join(pod.dockerd.folder, "image.tar");
  await run("tar", ["-C", pod.dockerd.folder, "-cf", join(pod.dockerd.folder, "layer.tar"), "large"]);
  await post(
    pod.dockerd.socket,
    "/images/create?fromSrc=-&repo=large&tag=1",
    join(pod.dockerd.folder, "layer.tar"),
  );
  const saved = await docker(pod, ["save", "-o", archive, "large:1"], { raw: true, timeoutMs: 120_000 });
  if (saved.code !== 0) throw new Error(saved.text);
  const loads = await alternate(rounds, pod, async (socket) => {
    const from = performance.now();
    await post(socket, "/images/load?quiet=1", archive);
    return rate(from);
  });
  yield row({
    name: "docker load of a large image",
    unit: "MB/s",
    value: median(loads.own),
    peer: median(loads.peer),
    goal,
  });
  for (const name of ["large", "layer.tar", "image.tar"])
    await rm(join(pod.dockerd.folder, name), { force: true });
}

async function post(socketPath: string, path: string, file: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const sent = request(
    { socketPath, method: "POST", path, headers: { "content-type": "application/x-tar" } },
    (answer) => answer.on("end", () => resolve(answer.statusCode)).resume(),
  ).on("error", reject);
  createReadStream(file, { highWaterMark: 1 << 20 }).pipe(sent);
  if ((await promise) !== 200) throw new Error(`${path} was refused`);
}
