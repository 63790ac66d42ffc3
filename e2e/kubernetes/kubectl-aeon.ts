import { mkdtemp, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { run } from "@aeon/standalone";
import { kubernetesProgram } from "@aeon/testkit";
import type { TestCluster } from "./cluster.ts";

/** `kubectl aeon` as the cluster's administrator; gives its output. */
export type KubectlAeon = (...args: readonly string[]) => Promise<string>;

/** Puts the plugin where kubectl looks for it. */
export async function kubectlAeon({ server, programs }: TestCluster): Promise<KubectlAeon> {
  const folder = await mkdtemp(join(server.folder, "plugin-"));
  const program = join(dirname(programs.aeonctl), "kubectl-aeon.js");
  await writeFile(join(folder, "kubectl-aeon"), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, {
    mode: 0o755,
  });
  const kubectl = dirname(await kubernetesProgram("kubectl"));
  const env = {
    PATH: [folder, kubectl, process.env["PATH"]].join(delimiter),
    HOME: server.folder,
    KUBECONFIG: server.kubeconfig,
  };
  return async (...args) => (await run(join(kubectl, "kubectl"), ["aeon", ...args], { env })).stdout;
}
