import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findContainerd, run } from "@aeon/standalone";
import {
  debianFile,
  startCriNode,
  temporaryFolder,
  testCache,
  type CriNode,
  type Sandbox,
} from "@aeon/testkit";
import { agentPaths, shippedPrograms, startAgent } from "../../servers/agent.ts";
import type { ServerProcess } from "../../servers/server-process.ts";
import { row, type BenchmarkContext, type Row } from "../benchmark.ts";
import { median } from "../statistics.ts";

const added = 3;
const connectMs = 30_000;
const hooks = { createRuntime: [{ path: "/bin/true" }] };
/** Containers of this name get the hook by a rule. */
const injected = "injected";
const sleep = ["sleep", "1000"];

/** What the agent as NRI plugin adds to the life of a container that CRI is asked for. */
export async function* nri({ signal, progress, quick }: BenchmarkContext): AsyncIterable<Row> {
  const [blocks, rounds] = quick ? [2, 2] : [6, 12];
  await using folder = await temporaryFolder("bench");
  const runc = await debianFile("runc", "usr/sbin/runc");
  const baseSpec = join(folder.path, "base.json");
  await writeBaseSpec(baseSpec);
  await using node = await startCriNode({ nri: true, handlers: { based: { program: runc, baseSpec } } });
  await using plainPod = await node.startSandbox({ name: "plain" });
  await using basedPod = await node.startSandbox({ name: "based", handler: "based" });
  const startAgentOn = await agentOf(folder.path, node);
  const times = {
    plain: [] as number[],
    unmatched: [] as number[],
    based: [] as number[],
    injected: [] as number[],
  };
  // The agent runs in both, because it also looks at containers for other reasons than NRI.
  const measureWith = async (isOn: boolean, kinds: readonly Kind[]): Promise<void> => {
    const agent = await startAgentOn(isOn);
    try {
      await lives(rounds, signal, node, kinds);
    } finally {
      await agent[Symbol.asyncDispose]();
    }
  };
  for (let block = 0; block < blocks; block++) {
    progress(`CRI lives without and with the agent on NRI, block ${block + 1} of ${blocks}`);
    await measureWith(false, [
      [times.plain, plainPod, "plain"],
      [times.based, basedPod, "based"],
    ]);
    await measureWith(true, [
      [times.unmatched, plainPod, "unmatched"],
      [times.injected, plainPod, injected],
    ]);
  }
  yield row({
    name: "CRI create, start, remove with the agent over NRI and no matching rule, added",
    unit: "ms",
    value: median(times.unmatched) - median(times.plain),
    goal: { of: "value", atMost: added },
  });
  yield row({
    name: "the same with an injected hook, added to the hook in a static base spec",
    unit: "ms",
    value: median(times.injected) - median(times.based),
    goal: { of: "value", atMost: added },
  });
  yield row({ name: "the same without NRI and hook, for scale", unit: "ms", value: median(times.plain) });
}

type Kind = readonly [times: number[], pod: Sandbox, name: string];

/** Lives of each kind in turn; the first of each is not counted. */
async function lives(
  rounds: number,
  signal: AbortSignal,
  node: CriNode,
  kinds: readonly Kind[],
): Promise<void> {
  for (let round = -1; round < rounds; round++)
    for (const [times, pod, name] of kinds) {
      signal.throwIfAborted();
      const from = performance.now();
      const containerId = await pod.start({ name, command: sleep });
      await node.cri.runtime.removeContainer({ containerId });
      if (round >= 0) times.push(performance.now() - from);
    }
}

/** Starts the shipped agent with one rule, and waits until containerd asks it about containers if it is to. */
async function agentOf(folder: string, node: CriNode) {
  const rules = join(folder, "hooks.json");
  const when = { containers: `^${injected}$` };
  await writeFile(rules, JSON.stringify({ version: 1, rules: [{ name: "one", when, hooks }] }), {
    mode: 0o644,
  });
  const { aeonctl } = await shippedPrograms(folder);
  const { adminSocket } = agentPaths(folder);
  const isConnected = async (): Promise<boolean> => {
    const words = [aeonctl, "--address", adminSocket, "hooks", "status", "--output", "json"];
    const said = await run(process.execPath, words).catch(() => ({ stdout: "" }));
    return /"connected": ?true/.test(said.stdout);
  };
  return async (isOn: boolean): Promise<AsyncDisposable> => {
    await using made = new AsyncDisposableStack();
    const agent = made.use(
      await startAgent({
        folder,
        containerd: node.containerd.address,
        more: `[hooks]\nnri = ${isOn}\npath = "${rules}"\nnri-socket = "${join(node.containerd.folder, "nri.sock")}"\n`,
      }),
    );
    if (isOn) await registered(isConnected, agent);
    const owned = made.move();
    return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };
}

async function registered(isConnected: () => Promise<boolean>, agent: ServerProcess): Promise<void> {
  const end = performance.now() + connectMs;
  while (!(await isConnected())) {
    if (performance.now() > end)
      throw new Error(`the agent did not register in ${connectMs} ms: ${agent.errors()}`);
    await delay(20);
  }
}

/** containerd's own default specification with the hook in it; containerd reads it when it starts. */
async function writeBaseSpec(file: string): Promise<void> {
  const { ctr } = await findContainerd({ line: "2.1", cache: testCache });
  const spec = JSON.parse((await run(ctr, ["oci", "spec"])).stdout) as object;
  await writeFile(file, JSON.stringify({ ...spec, hooks }));
}
