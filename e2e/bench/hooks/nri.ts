import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findContainerd, run } from "@aeon/standalone";
import { debianFile, startCriNode, temporaryFolder, testCache, type CriNode } from "@aeon/testkit";
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

/**
 * What the agent as NRI plugin adds to the life of a container that CRI is asked for. Two nodes stand side by side, both
 * with NRI on and an agent, of which one connects to it; lives on both, one after the other, are compared. They change
 * places with every block.
 */
export async function* nri({ signal, progress, quick }: BenchmarkContext): AsyncIterable<Row> {
  const [blocks, rounds] = quick ? [2, 2] : [4, 60];
  await using folder = await temporaryFolder("bench");
  await using made = new AsyncDisposableStack();
  const baseSpec = join(folder.path, "base.json");
  await writeBaseSpec(baseSpec);
  const nodes: BenchNode[] = [];
  for (const name of ["a", "b"]) nodes.push(await benchNode(folder.path, name, baseSpec, made));
  const unmatched: Pair[] = [];
  const injecting: Pair[] = [];
  for (let block = 0; block < blocks; block++) {
    progress(`CRI lives without and with the agent on NRI, block ${block + 1} of ${blocks}`);
    const [without, on] = block % 2 === 0 ? nodes : nodes.toReversed();
    if (without === undefined || on === undefined) throw new Error("there are two nodes");
    await using agents = new AsyncDisposableStack();
    agents.use(await without.startAgent(false));
    agents.use(await on.startAgent(true));
    for (let round = -1; round < rounds; round++) {
      signal.throwIfAborted();
      const isFirst = round % 2 === 0;
      const plainPair = await pair(
        isFirst,
        () => without.life("plain"),
        () => on.life("unmatched"),
      );
      const hookPair = await pair(
        isFirst,
        () => without.life("based"),
        () => on.life(injected),
      );
      if (round < 0) continue;
      unmatched.push(plainPair);
      injecting.push(hookPair);
    }
  }
  yield row({
    name: "CRI create, start, remove with the agent over NRI and no matching rule, added",
    unit: "ms",
    value: median(unmatched.map(({ own, peer }) => own - peer)),
    goal: { of: "value", atMost: added },
  });
  yield row({
    name: "the same with an injected hook, added to the hook in a static base spec",
    unit: "ms",
    value: median(injecting.map(({ own, peer }) => own - peer)),
    goal: { of: "value", atMost: added },
  });
  yield row({
    name: "the same without NRI and hook, for scale",
    unit: "ms",
    value: median(unmatched.map(({ peer }) => peer)),
  });
}

interface Pair {
  readonly own: number;
  readonly peer: number;
}

async function pair(
  isPeerFirst: boolean,
  peer: () => Promise<number>,
  own: () => Promise<number>,
): Promise<Pair> {
  if (isPeerFirst) return { peer: await peer(), own: await own() };
  return { own: await own(), peer: await peer() };
}

interface BenchNode {
  /** Milliseconds of a container's life: created, started and removed. Named `based` its hook is in the base spec. */
  readonly life: (name: string) => Promise<number>;
  readonly startAgent: (isOn: boolean) => Promise<AsyncDisposable>;
}

async function benchNode(
  parent: string,
  name: string,
  baseSpec: string,
  made: AsyncDisposableStack,
): Promise<BenchNode> {
  const program = await debianFile("runc", "usr/sbin/runc");
  const node = made.use(await startCriNode({ nri: true, handlers: { based: { program, baseSpec } } }));
  const plainPod = made.use(await node.startSandbox({ name: "plain" }));
  const basedPod = made.use(await node.startSandbox({ name: "based", handler: "based" }));
  return {
    startAgent: await agentOf(parent, join(parent, name), node),
    async life(container) {
      const pod = container === "based" ? basedPod : plainPod;
      const from = performance.now();
      const containerId = await pod.start({ name: container, command: sleep });
      await node.cri.runtime.removeContainer({ containerId });
      return performance.now() - from;
    },
  };
}

/** Starts the shipped agent with one rule, and waits until containerd asks it about containers if it is to. */
async function agentOf(programs: string, folder: string, node: CriNode) {
  await mkdir(folder);
  const rules = join(folder, "hooks.json");
  const when = { containers: `^${injected}$` };
  await writeFile(rules, JSON.stringify({ version: 1, rules: [{ name: "one", when, hooks }] }), {
    mode: 0o644,
  });
  const { aeonctl } = await shippedPrograms(programs);
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
        programs,
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
