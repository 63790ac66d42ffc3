import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import {
  absolutePath,
  capability,
  containerRegistry,
  definePlugin,
  Lifetime,
  snapshotBackend,
  watchedNamespaces,
  type Capability,
  type PluginContext,
} from "@aeon/core";
import { containerdClient } from "@aeon/containerd";
import { errors } from "./errors.ts";
import { openSnapshotterRuntime, type BackendOptions, type SnapshotterRuntime } from "./runtime.ts";

/** The table `[snapshotter]` of the configuration. */
export const snapshotterConfig = v.strictObject({
  socket: v.optional(
    v.pipe(absolutePath(), v.description("Unix socket for containerd's proxy plugin")),
    "{state}/snapshotter.sock",
  ),
  "proxy-name": v.optional(
    v.pipe(v.string(), v.nonEmpty(), v.description("name of the entry under [proxy_plugins] in containerd")),
    "aeon",
  ),
  backend: v.optional(
    v.pipe(
      v.picklist(["overlayfs", "remote"]),
      v.description("overlayfs: aeon keeps the files; remote: another snapshotter does"),
    ),
    "overlayfs",
  ),
  root: v.optional(
    v.pipe(absolutePath(), v.description("overlayfs: folder of the snapshots' files")),
    "{root}/snapshotter",
  ),
  "mount-options": v.optional(
    v.pipe(v.array(v.string()), v.description("overlayfs: more options for every overlay mount")),
    [],
  ),
  address: v.optional(v.pipe(absolutePath(), v.description("remote: socket of the other snapshotter"))),
  name: v.optional(
    v.pipe(v.string(), v.nonEmpty(), v.description("remote: name of the snapshotter behind the socket")),
    "overlayfs",
  ),
  "containerd-namespace": v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("remote: set when the socket is another containerd: the namespace to use there"),
    ),
  ),
  "audit-log": v.optional(
    v.pipe(absolutePath(), v.description("file for one JSON line per snapshot operation; none when absent")),
  ),
  "audit-reads": v.optional(
    v.pipe(v.boolean(), v.description("write stat, list and usage to the audit log too")),
    false,
  ),
});

export type SnapshotterConfig = v.InferOutput<typeof snapshotterConfig>;

/** The running snapshotter. Its host attaches other plugins' hooks to the pipeline and then calls `listen`. */
export const snapshotterRuntime: Capability<SnapshotterRuntime> = capability("snapshotter-runtime");

/**
 * The snapshotter as a plugin of the agent. It provides {@link snapshotterRuntime} and the container registry and
 * uses the containerd client if there is one. It does not serve its socket by itself: only the host knows
 * when all hooks are in place.
 */
export const snapshotterPlugin = definePlugin({
  name: "snapshotter",
  config: snapshotterConfig,
  async start(context) {
    const { config, log, metrics, root } = context;
    const containerd = context.find(containerdClient);
    const namespaces = context.find(watchedNamespaces);
    const backend = backendOf(config);
    if (backend.type === "remote" && backend.address === containerd?.address)
      throw errors.REMOTE_IS_CALLER(
        `snapshotter.address is ${backend.address}, the containerd that aeon itself serves; its commits would never end`,
        { details: { address: backend.address } },
      );
    const life = new Lifetime();
    try {
      const runtime = life.use(
        await openSnapshotterRuntime({
          backend,
          root,
          socket: config.socket,
          proxyName: config["proxy-name"],
          ...(config["audit-log"] !== undefined && {
            audit: { path: config["audit-log"], reads: config["audit-reads"] },
          }),
          ...(containerd && { containerd }),
          ...(namespaces && { namespaces }),
          log,
          metrics,
        }),
      );
      reopenOnHangup(runtime, life);
      context.provide(snapshotterRuntime, runtime);
      context.provide(snapshotBackend, runtime.backend);
      context.provide(containerRegistry, runtime.containers);
      context.health("hooks", () => runtime.pipeline.health());
      context.health("container-registry", () => runtime.containers.health());
      keepConfig(context);
      return life;
    } catch (error) {
      await life[Symbol.asyncDispose]();
      throw error;
    }
  },
});

/** How the configuration names the backend; throws `REMOTE_ADDRESS_MISSING`. */
export function backendOf(config: SnapshotterConfig): BackendOptions {
  if (config.backend === "overlayfs")
    return { type: "overlayfs", root: config.root, mountOptions: config["mount-options"] };
  const { address, name, "containerd-namespace": containerdNamespace } = config;
  if (address === undefined)
    throw errors.REMOTE_ADDRESS_MISSING(
      'snapshotter.address is not set, but snapshotter.backend is "remote"',
    );
  return {
    type: "remote",
    address,
    name,
    ...(containerdNamespace !== undefined && { containerdNamespace }),
  };
}

/** Log rotation renames the file and sends SIGHUP. */
function reopenOnHangup(runtime: SnapshotterRuntime, life: Lifetime): void {
  const onHangup = (): void => runtime.reopenLogs();
  process.on("SIGHUP", onHangup);
  life.defer(() => void process.removeListener("SIGHUP", onHangup));
}

/** Nothing here changes while snapshots are in use: tells which keys wait for a restart. */
function keepConfig(context: PluginContext<SnapshotterConfig>): void {
  const before = new Map<string, unknown>(Object.entries(context.config));
  context.onReload(async (next) => {
    const after = new Map<string, unknown>(Object.entries(next));
    const keys = new Set([...before.keys(), ...after.keys()]);
    return [...keys].filter((key) => !isDeepStrictEqual(before.get(key), after.get(key)));
  });
}
