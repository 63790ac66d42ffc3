import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCriNode, temporaryFolder } from "@aeon/testkit";
import { run } from "@aeon/standalone";
import { expect, test, vi } from "vitest";
import { agentPaths, shippedPrograms, startAgent } from "./servers/agent.ts";

/** `npm run soak -- hooks` asks for 10 000. */
const creates = Math.max(1000, Number(process.env["AEON_HOOKS_CREATES"] ?? 0));
/** Until then the agent's code, caches and heap find their size; V8's old generation takes longest. */
const warmUp = Math.max(600, creates * 0.4);
const mostGrowth = 16_000_000;

test(
  `the agent does not grow while it injects into ${creates} containers`,
  async () => {
    await using folder = await temporaryFolder("many");
    await using node = await startCriNode({ nri: true });
    const rules = join(folder.path, "hooks.json");
    const hooks = { createRuntime: [{ path: "/bin/true" }], poststop: [{ path: "/bin/true" }] };
    const rule = { name: "one", when: { containers: "^c" }, hooks, env: ["SEEN=1"], record: true };
    await writeFile(rules, JSON.stringify({ version: 1, rules: [rule] }), { mode: 0o644 });
    await using agent = await startAgent({
      folder: folder.path,
      containerd: node.containerd.address,
      more: `[hooks]\npath = "${rules}"\nnri-socket = "${join(node.containerd.folder, "nri.sock")}"\n`,
    });
    const { aeonctl } = await shippedPrograms(folder.path);
    const words = [aeonctl, "--address", agentPaths(folder.path).adminSocket, "hooks", "status"];
    await vi.waitFor(
      async () => expect((await run(process.execPath, words)).stdout).toMatch(/^NRI +connected/m),
      { timeout: 30_000, interval: 200 },
    );
    await using pod = await node.startSandbox({ name: "many" });
    const createMany = async (first: number, last: number): Promise<void> => {
      for (let index = first; index < last; index += 1)
        await node.cri.runtime.removeContainer({
          containerId: await pod.create({ name: `c${index}`, command: ["true"] }),
        });
    };
    await createMany(0, warmUp);
    const before = await sizeOf(agent.pid, folder.path);
    await createMany(warmUp, creates);
    const after = await sizeOf(agent.pid, folder.path);
    expect(after.memory - before.memory).toBeLessThan(mostGrowth);
    // A look-up or a connection may be open at any one time.
    expect(Math.abs(after.descriptors - before.descriptors)).toBeLessThanOrEqual(3);
    expect(after.files - before.files).toBeLessThanOrEqual(3);
    expect(agent.errors()).toBe("");
  },
  120_000 + creates * 300,
);

async function sizeOf(pid: number, folder: string) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return {
    memory: Number(kilobytes) * 1024,
    descriptors: (await readdir(`/proc/${pid}/fd`)).length,
    files: (await readdir(folder, { recursive: true })).length,
  };
}
