import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "@aeon/containerd";
import { silentLogger } from "@aeon/core";
import {
  openDindController,
  type ControllerOptions,
  type DindController,
  type DindSettings,
} from "../src/index.ts";

/**
 * containerd namespace of main containers here and in processes that this one starts: runc knows containers of one
 * namespace machine-wide.
 */
export const namespace = (process.env["AEON_TEST_NAMESPACE"] ??= `dind-${process.pid.toString(36)}`);

/** Those of tests that do not care. */
export const defaultSettings: DindSettings = {
  image: "docker.io/library/aeon-dind:latest",
  diskLimit: 2 * 1024 ** 3,
  network: "bridge",
  addressPool: "172.29.0.0/16",
  registryMirrors: [],
  insecureRegistries: [],
  policyFile: undefined,
  idleMs: 0,
  userNamespace: "auto",
  debug: false,
};

/** A controller whose files are below a folder. */
export async function openController(
  { client, folder, archive }: { readonly client: Client; readonly folder: string; readonly archive: string },
  options: Partial<ControllerOptions> = {},
): Promise<DindController> {
  const root = join(folder, "root");
  await mkdir(root, { recursive: true });
  return openDindController({
    client,
    root,
    state: join(folder, "s"),
    snapshotter: "overlayfs",
    imageArchive: archive,
    log: { ...silentLogger, warn: (...facts: unknown[]) => console.warn(...facts) },
    settings: () => defaultSettings,
    request: () => undefined,
    isOurs: () => true,
    ...options,
  });
}
