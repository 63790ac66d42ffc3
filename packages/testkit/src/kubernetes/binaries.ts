import { access } from "node:fs/promises";
import { join } from "node:path";
import { debianFile, testCache } from "../launch-containerd.ts";
import { buildKubernetes } from "./build.ts";
import type { builtPrograms } from "./compiler.ts";

type Built = (typeof builtPrograms)[number];

const packaged = {
  etcd: { name: "etcd-server", path: "usr/bin/etcd" },
  kubectl: { name: "kubernetes-client", path: "usr/bin/kubectl" },
} as const;

/**
 * The path of a program of a cluster: from the folder `KUBEBUILDER_ASSETS` where that has it; else etcd and kubectl from
 * Debian's packages, and the others built from Debian's sources once per machine.
 */
export async function kubernetesProgram(
  name: Built | keyof typeof packaged,
  onProgress: (message: string) => void = (message) => console.error(`kubernetes: ${message}`),
): Promise<string> {
  const assets = process.env["KUBEBUILDER_ASSETS"];
  const given = assets ? join(assets, name) : undefined;
  if (given !== undefined && (await isThere(given))) return given;
  if (name === "etcd" || name === "kubectl") return debianFile(packaged[name].name, packaged[name].path);
  return join(await buildKubernetes({ cache: testCache, onProgress }), name);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
