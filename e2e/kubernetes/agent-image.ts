import { dirname, join } from "node:path";
import { run } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";
import type { TestCluster } from "./cluster.ts";

/** Builds the image of the agent that the cluster's nodes would run, with the command that people use. */
export async function agentImage(
  { programs, server }: Pick<TestCluster, "programs" | "server">,
  tag: string,
  epoch: number,
): Promise<string> {
  const file = join(server.folder, `agent-${tag}.tar`);
  const flags = {
    file,
    name: `localhost/aeon:${tag}`,
    agent: dirname(programs.agent),
    aeonctl: dirname(programs.aeonctl),
    archives: join(testCache, "agent-image"),
    epoch: String(epoch),
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  await run(process.execPath, [programs.agent, "image", "build", ...args]);
  return file;
}
