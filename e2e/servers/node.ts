import { join } from "node:path";
import { containerdPaths, run } from "@aeon/standalone";
import { busyboxImage, launchContainerd, temporaryFolder, type PrivateContainerd } from "@aeon/testkit";
import { agentPaths, shippedPrograms, startAgent, type AgentOptions } from "./agent.ts";
import type { ServerProcess } from "./server-process.ts";

/** A containerd whose proxy snapshotter is the agent, with a busybox image imported. */
export interface AeonNode extends AsyncDisposable {
  readonly folder: string;
  readonly containerd: PrivateContainerd;
  readonly image: string;
  /** The agent that runs now; {@link startAgain} replaces it. */
  readonly agent: ServerProcess;
  /** Starts the next agent on the same folder; the one before must have ended. */
  startAgain(): Promise<void>;
  /** `ctr run --rm` of a shell script on aeon; answers what it prints. */
  run(id: string, script: string): Promise<string>;
  /** Runs aeonctl on the agent; answers what it prints. */
  aeonctl(...args: readonly string[]): Promise<string>;
}

export async function startNode(options: Pick<AgentOptions, "policy"> = {}): Promise<AeonNode> {
  await using stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryFolder("node"));
  const containerdFolder = join(folder, "c");
  const settings = { ...options, folder, containerd: containerdPaths(containerdFolder).socket };
  let agent = await startAgent(settings);
  stack.defer(() => agent[Symbol.asyncDispose]());
  const containerd = stack.use(
    await launchContainerd({
      folder: containerdFolder,
      proxySnapshotters: [{ name: "aeon", address: agent.socket, root: agentPaths(folder).snapshots }],
    }),
  );
  const image = await busyboxImage({ file: join(folder, "image.tar") });
  await containerd.ctr(["images", "import", "--snapshotter", "aeon", image.file]);
  const owned = stack.move();
  return {
    folder,
    containerd,
    image: image.name,
    get agent() {
      return agent;
    },
    async startAgain() {
      agent = await startAgent(settings);
    },
    run: (id, script) =>
      containerd.ctr(["run", "--rm", "--snapshotter", "aeon", image.name, id, "sh", "-c", script]),
    async aeonctl(...args) {
      const { aeonctl } = await shippedPrograms(folder);
      const { adminSocket } = agentPaths(folder);
      return (await run(process.execPath, [aeonctl, "--address", adminSocket, ...args])).stdout;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
