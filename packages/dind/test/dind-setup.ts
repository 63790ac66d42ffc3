import { createReadStream } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { connect, type Client, type CreateContainerOptions, type Task } from "@aeon/containerd";
import { Lifetime } from "@aeon/core";
import { launchContainerd, temporaryFolder, type PrivateContainerd } from "@aeon/testkit";
import type { ControllerOptions, DindController } from "../src/index.ts";
import { namespace, openController } from "./open-controller.ts";
import { dindArchive, dockerClientImage } from "./docker-images.ts";

/** A containerd with main containers' image, and controllers on it. */
export interface Setup extends AsyncDisposable {
  readonly containerd: PrivateContainerd;
  readonly client: Client;
  readonly folder: string;
  /** File with the DinD image. */
  readonly archive: string;
  /** Starts a main container that sleeps. */
  main(id: string, options?: Partial<CreateContainerOptions>): Promise<Task>;
  /** Runs a command in it; fails unless its exit code is the expected one. */
  exec(task: Task, args: readonly string[], expected?: number): Promise<string>;
  controller(options?: Partial<ControllerOptions>): Promise<DindController>;
}

export async function setUp(): Promise<Setup> {
  const life = new Lifetime();
  try {
    const folder = life.use(await temporaryFolder("d"));
    const containerd = life.use(await launchContainerd());
    const connection = life.use(await connect({ address: containerd.address }));
    const client = connection.withNamespace(namespace);
    const image = await dockerClientImage(join(folder.path, "main.tar"));
    await client.import(createReadStream(join(folder.path, "main.tar")), { unpack: "overlayfs" });
    const archive = await dindArchive();
    return {
      containerd,
      client,
      folder: folder.path,
      async main(id, options = {}) {
        const container = await client.createContainer(id, { image, args: ["sleep", "100000"], ...options });
        const task = await container.newTask();
        await task.start();
        return task;
      },
      exec,
      archive,
      controller: (options = {}) => openController({ client, folder: folder.path, archive }, options),
      [Symbol.asyncDispose]: () => life[Symbol.asyncDispose](),
    };
  } catch (error) {
    await life[Symbol.asyncDispose]();
    throw error;
  }
}

async function exec(task: Task, args: readonly string[], expected = 0): Promise<string> {
  const out = new PassThrough();
  const output = text(out);
  const child = await task.exec({ args, stdout: out, stderr: out });
  await child.start();
  const { code } = await child.wait();
  await child.delete();
  out.end();
  const said = await output;
  if (code !== expected) throw new Error(`${args.join(" ")} ended with ${code}: ${said}`);
  return said;
}
