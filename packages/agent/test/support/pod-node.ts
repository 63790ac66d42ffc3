import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { connect, type Client, type CreateContainerOptions } from "@aeon/containerd";
import { busyboxImage, launchContainerd, temporaryFolder, type PrivateContainerd } from "@aeon/testkit";

const packageFolder = join(import.meta.dirname, "../..");

/** Bundles the agent into the folder, as a release has it. */
export async function bundleAgent(folder: string): Promise<void> {
  const tsdown = join(packageFolder, "../../node_modules/.bin/tsdown");
  await promisify(execFile)(process.execPath, [tsdown, "--out-dir", folder, "--logLevel", "error"], {
    cwd: packageFolder,
  });
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A containerd with aeon as a snapshotter, and containers on it. */
export interface PodNode extends AsyncDisposable {
  readonly folder: string;
  readonly containerd: PrivateContainerd;
  readonly client: Client;
  readonly image: string;
}

/** Starts containerd before there is an agent; the agent's snapshotter socket is `<folder>/run/snapshotter.sock`. */
export async function startPodNode(): Promise<PodNode> {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryFolder("p"));
  const address = join(folder, "run/snapshotter.sock");
  const containerd = stack.use(
    await launchContainerd({
      proxySnapshotters: [{ name: "aeon", address, root: join(folder, "root/snapshotter") }],
    }),
  );
  const client = stack.use(await connect({ address: containerd.address, namespace: "default" }));
  const { file, name } = await busyboxImage({ file: join(folder, "busybox.tar") });
  await client.import(createReadStream(file));
  const owned = stack.move();
  return { folder, containerd, client, image: name, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A container that sleeps until it is disposed of. */
export interface Sleeper extends AsyncDisposable {
  readonly id: string;
  run(args: readonly string[], user?: { readonly uid: number; readonly gid: number }): Promise<Ran>;
}

/** Starts a container; `ready` is awaited between its record and its task. */
export async function startSleeper(
  { client, image }: PodNode,
  id: string,
  options: Omit<CreateContainerOptions, "image">,
  ready: () => Promise<void> = async () => {},
): Promise<Sleeper> {
  const container = await client.createContainer(id, {
    image,
    snapshotter: "aeon",
    args: ["sleep", "3600"],
    ...options,
  });
  await ready();
  const task = await container.newTask();
  await task.start();
  return {
    id,
    async run(args, user) {
      const more = user && { user };
      const child = await task.exec({ args, ...more, stdout: "pipe", stderr: "pipe" });
      const out = child.stdout === undefined ? "" : text(child.stdout);
      const err = child.stderr === undefined ? "" : text(child.stderr);
      await child.start();
      const { code } = await child.wait();
      const ran = { code, stdout: await out, stderr: await err };
      await child.delete();
      return ran;
    },
    async [Symbol.asyncDispose]() {
      await task.kill("SIGKILL").catch(() => {});
      await task.wait();
      await task.delete();
      await container.delete();
    },
  };
}
