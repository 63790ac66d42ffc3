import { join } from "node:path";
import { run } from "@aeon/standalone";
import { kubernetesProgram, type PlainNode } from "@aeon/testkit";
import { parseAllDocuments } from "yaml";
import type { TestCluster } from "./cluster.ts";

const deploy = join(import.meta.dirname, "../../deploy");

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The objects of a text with many. */
export const manifestsOf = (text: string): readonly Manifest[] =>
  parseAllDocuments(text)
    .map((document): Manifest | null => document.toJS())
    .filter((manifest) => manifest !== null);

/** What Kustomize makes of a folder in `deploy/kustomize`. */
export async function kustomize(folder: string): Promise<string> {
  const program = await kubernetesProgram("kubectl");
  return (await run(program, ["kustomize", join(deploy, "kustomize", folder)])).stdout;
}

/**
 * Applies the manifests as they are, but for what differs on a node that is a part of this machine: which process is
 * of the host, how containerd is restarted, where NRI's socket is, and that no service has an address.
 */
export async function installAeon({ server }: TestCluster, node: PlainNode): Promise<void> {
  const { hostname, port } = new URL(server.url);
  const text = (await kustomize("base"))
    .replace(
      /\[kubernetes\]\n/,
      (found) => `${found}\n    [hooks]\n    nri-socket = "/run/containerd/nri.sock"\n`,
    )
    .replace(/(- --host-process\n *- )"1"/, (_, before: string) =>
      [
        `${before}"${node.pid}"`,
        `--containerd=${node.containerd.binaries.containerd}`,
        `--containerd-config=${node.containerdConfig}`,
        `--restart=${node.restartProgram}`,
      ].join("\n        - "),
    )
    .replace(/( +)- name: NODE_NAME\n/, (found, indent: string) =>
      [
        `${indent}- name: KUBERNETES_SERVICE_HOST\n${indent}  value: "${hostname}"`,
        `${indent}- name: KUBERNETES_SERVICE_PORT\n${indent}  value: "${port}"\n${found}`,
      ].join("\n"),
    );
  for (const word of [String(node.pid), "KUBERNETES_SERVICE_HOST", "nri-socket"])
    if (!text.includes(word)) throw new Error(`the manifests have no place for ${word}`);
  await server.kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], text);
}
