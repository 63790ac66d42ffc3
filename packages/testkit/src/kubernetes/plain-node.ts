import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PrivateContainerd } from "@aeon/standalone";
import { temporaryFolder } from "../temporary-folder.ts";
import { createControlGroup, createKubelet } from "./kubelet.ts";
import { createNodeNamespace } from "./node-namespace.ts";
import { importImages, startRuntime } from "./node-runtime.ts";
import type { NodeOptions } from "./node.ts";

export type PlainNodeOptions = Pick<
  NodeOptions,
  "name" | "index" | "cluster" | "network" | "kubelet" | "containerd" | "images"
>;

/** A node as a distribution sets it up, without aeon, for a DaemonSet to change. */
export interface PlainNode extends AsyncDisposable {
  readonly name: string;
  readonly folder: string;
  readonly containerd: PrivateContainerd;
  /** A process that lives as long as the node, for those who enter it. */
  readonly pid: number;
  /** In the node: containerd's configuration. */
  readonly containerdConfig: string;
  /** A program that restarts containerd as a service manager would. */
  readonly restartProgram: string;
  /** How often containerd was restarted. */
  readonly restarts: number;
  /** The end of what kubelet wrote. */
  kubeletLog(): Promise<string>;
}

/** Starts a plain node and resolves when the API server calls it Ready. Its paths are those of a host. */
export async function startPlainNode(options: PlainNodeOptions): Promise<PlainNode> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder(`n${options.index}`));
  const at = (name: string): string => join(folder.path, name);
  const namespace = stack.use(
    await createNodeNamespace(options.network, options.index, folder.path, {
      "/run/containerd": at("c"),
      "/etc/containerd": at("c"),
      "/etc/container-hooks": at("hooks"),
      "/run/nri": at("nri"),
      "/run/aeon": at("r"),
      "/var/lib/aeon": at("a"),
    }),
  );
  const controlGroup = stack.use(await createControlGroup(options.name));
  const containerd = stack.use(
    await startRuntime({ ...options, folder: folder.path, namespace, snapshotter: "overlayfs" }),
  );
  const manager = stack.use(new ServiceManager(containerd, folder.path));
  await manager.start();
  await importImages({
    containerd,
    folder: folder.path,
    images: options.images ?? [],
    snapshotter: "overlayfs",
  });
  const kubelet = stack.use(
    await createKubelet({
      name: options.name,
      cluster: options.cluster,
      namespace,
      folder: folder.path,
      runtime: containerd.address,
      controlGroup: controlGroup.name,
      ...(options.kubelet && { config: options.kubelet }),
    }),
  );
  await kubelet.start();
  const owned = stack.move();
  return {
    name: options.name,
    folder: folder.path,
    containerd,
    pid: namespace.pid,
    containerdConfig: "/etc/containerd/containerd.toml",
    restartProgram: manager.restartProgram,
    get restarts() {
      return manager.restarts;
    },
    kubeletLog: () => kubelet.logTail(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Starts a containerd again whenever it ends, as systemd does. */
class ServiceManager implements Disposable {
  readonly #containerd: PrivateContainerd;
  readonly #folder: string;
  #stopped = false;
  restarts = 0;

  constructor(containerd: PrivateContainerd, folder: string) {
    this.#containerd = containerd;
    this.#folder = folder;
  }

  get restartProgram(): string {
    return join(this.#folder, "restart-containerd");
  }

  async start(): Promise<void> {
    const up = join(this.#folder, "containerd-up");
    const pid = join(this.#folder, "containerd-pid");
    await writeFile(
      this.restartProgram,
      `#!/bin/sh\nset -eu\nrm -f ${up}\nkill "$(cat ${pid})"\nwhile [ ! -e ${up} ]; do sleep 0.1; done\n`,
      { mode: 0o755 },
    );
    await writeFile(pid, String(this.#containerd.pid));
    await writeFile(up, "");
    void this.#follow(pid, up);
  }

  async #follow(pid: string, up: string): Promise<void> {
    for (;;) {
      await this.#containerd.ended;
      if (this.#stopped) return;
      await this.#containerd.start();
      this.restarts += 1;
      await writeFile(pid, String(this.#containerd.pid));
      await writeFile(up, "");
    }
  }

  /** From now on */
  [Symbol.dispose](): void {
    this.#stopped = true;
  }
}
