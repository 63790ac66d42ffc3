import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGrpcClient, GrpcChannel } from "@aeon/containerd";
import { linux, type Snapshotter } from "@aeon/core";
import { snapshots, type types } from "@aeon/proto";
import { onTestFinished } from "vitest";
import { openOverlaySnapshotter, serveSnapshotter, type OverlaySnapshotterOptions } from "../../src/index.ts";

type WireMount = Pick<types.Mount, "type" | "source" | "options">;

/** A snapshotter behind a real socket, with a real client, in a folder of its own. */
export async function start(options: Partial<OverlaySnapshotterOptions> = {}) {
  const folder = await testFolder();
  const root = options.root ?? join(folder, "root");
  const snapshotter = await openOverlaySnapshotter({ root, ...options });
  onTestFinished(() => snapshotter[Symbol.asyncDispose]());
  return { ...(await serve(snapshotter, folder)), root, folder, snapshotter };
}

/** Serves any snapshotter until the test ends. */
export async function serve(snapshotter: Snapshotter, folder: string) {
  const server = await serveSnapshotter({ snapshotter, socket: join(folder, "s.sock"), drainMs: 1000 });
  const channel = new GrpcChannel({ address: server.socket });
  onTestFinished(async () => {
    channel[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });
  const client = createGrpcClient(snapshots.Snapshots, channel);
  return { server, channel, client };
}

export type Client = Awaited<ReturnType<typeof start>>["client"];

/** A folder that is emptied, mounts included, when the test ends. */
export async function testFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "aeon-sn-"));
  onTestFinished(async () => {
    for (const point of mountsBelow(folder)) await linux.unmount(point, linux.unmountFlags.detach);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A root on a tmpfs of its own, of the given size. */
export async function memoryRoot(size = "50%"): Promise<string> {
  const root = join(await testFolder(), "root");
  await mkdir(root);
  await linux.mount({ source: "aeon-test", target: root, type: "tmpfs", flags: 0, data: `size=${size}` });
  return root;
}

/** Mount points below a folder, innermost first. */
function mountsBelow(folder: string): string[] {
  const list = execFileSync("findmnt", ["-rno", "TARGET"], { encoding: "utf8" }).split("\n");
  return list.filter((point) => point.startsWith(`${folder}/`)).toReversed();
}

/** Mounts what a snapshotter returned, as a runtime would, and runs `work` on the mount point. */
export async function mounted<T>(
  folder: string,
  mounts: readonly WireMount[],
  work: (path: string) => T | Promise<T>,
): Promise<T> {
  const target = await mkdtemp(join(folder, "m-"));
  for (const { type, source, options } of mounts) await mountOne({ type, source, options, target });
  try {
    return await work(target);
  } finally {
    await linux.unmount(target, linux.unmountFlags.detach);
  }
}

async function mountOne({ type, source, options, target }: WireMount & { target: string }): Promise<void> {
  const { flags, data } = linux.parseMountOptions(options);
  const { bind, recursive, readOnly, remount } = linux.mountFlags;
  const isBind = (flags & bind) !== 0;
  await linux.mount({
    source,
    target,
    type: isBind ? "" : type,
    flags: isBind ? flags & (bind | recursive) : flags,
    data,
  });
  if (isBind && (flags & readOnly) !== 0)
    await linux.mount({ source: "none", target, type: "", flags: bind | remount | readOnly, data: "" });
}

/** A path in `folder` whose parents exist. */
export async function place(folder: string, path: string): Promise<string> {
  const full = join(folder, path);
  await mkdir(join(full, ".."), { recursive: true });
  return full;
}

export interface LayerStep {
  readonly client: Client;
  readonly folder: string;
  readonly name: string;
  readonly parent?: string;
}

/** Makes a committed layer whose content `fill` writes through a real mount. */
export async function layer(
  { client, folder, name, parent = "" }: LayerStep,
  fill: (path: string) => unknown = () => {},
): Promise<void> {
  const key = `${name}-active`;
  const { mounts } = await client.prepare({ key, parent });
  await mounted(folder, mounts, fill);
  await client.commit({ key, name });
}

/** The value of a mount option such as `upperdir`. */
export function optionOf(mounts: readonly WireMount[], name: string): string {
  const found = mounts.flatMap(({ options }) => options).find((option) => option.startsWith(`${name}=`));
  if (found === undefined) throw new Error(`no ${name} in ${JSON.stringify(mounts)}`);
  return found.slice(name.length + 1);
}

/** Every snapshot that List streams, and how many messages it took. */
export async function listAll(client: Client, filters: string[] = []) {
  const batches = await Array.fromAsync(client.list({ filters }));
  return { infos: batches.flatMap(({ info }) => info), batches: batches.map(({ info }) => info.length) };
}

/** Nanoseconds since the epoch of a Timestamp. */
export function nanoseconds(time: { seconds: bigint; nanos: number } | undefined): bigint {
  if (time === undefined) throw new Error("no timestamp");
  return time.seconds * 1_000_000_000n + BigInt(time.nanos);
}
