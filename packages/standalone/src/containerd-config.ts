import { join } from "node:path";
import { stringify } from "smol-toml";

/** A snapshotter that containerd reaches over a socket (`[proxy_plugins.NAME]`). */
export interface ProxySnapshotter {
  readonly name: string;
  /** Path of its Unix socket. */
  readonly address: string;
  /** Where its files are: without it the CRI plugin reports the size of a folder that does not exist. */
  readonly root?: string;
  readonly capabilities?: readonly string[];
}

/** A low-level runtime, and a file with the runtime specification that its containers begin with. */
export type CriHandler = string | { readonly program: string; readonly baseSpec: string };

/** Settings of the CRI plugin, which kubelet and crictl talk to. */
export interface CriSettings {
  /** Snapshotter of pods; containerd's own overlayfs when absent. */
  readonly snapshotter?: string;
  /** Image of the pod's pause container; must be in the image store already. */
  readonly sandboxImage?: string;
  /** Folder of CNI plugins. */
  readonly cniBin?: string;
  /** Further runtime handlers by name. All annotations reach them. */
  readonly handlers?: Readonly<Record<string, CriHandler>>;
  /** Folder of CNI network configurations; an empty one of its own when absent. */
  readonly cniConfig?: string;
}

export interface ContainerdSettings {
  /** Major and minor release of containerd. */
  readonly release: readonly [major: number, minor: number];
  /** Everything containerd writes is below it. */
  readonly folder: string;
  readonly runc: string;
  readonly proxySnapshotters: readonly ProxySnapshotter[];
  /** Lets NRI plugins connect to `nri.sock` in the folder. */
  readonly nri?: boolean;
  /** The CRI plugin is off when absent. */
  readonly cri?: CriSettings;
  /** Debian's name of the machine's architecture in OCI terms, such as amd64. */
  readonly architecture: string;
}

/** Fixed places of a private containerd below its folder. */
export const containerdPaths = (folder: string) => ({
  socket: join(folder, "containerd.sock"),
  config: join(folder, "containerd.toml"),
  log: join(folder, "containerd.log"),
  nri: join(folder, "nri.sock"),
  root: join(folder, "root"),
  state: join(folder, "state"),
});

/** The configuration file in the form that the release reads: version 3 from containerd 2.0 on, else version 2. */
export function containerdConfig(settings: ContainerdSettings): string {
  const { folder, release } = settings;
  const paths = containerdPaths(folder);
  const two = release[0] >= 2;
  return stringify({
    version: two ? 3 : 2,
    root: paths.root,
    state: paths.state,
    disabled_plugins: settings.cri ? [] : [...(two ? criPlugins.two : criPlugins.one)],
    grpc: { address: paths.socket },
    proxy_plugins: Object.fromEntries(
      settings.proxySnapshotters.map((proxy) => [proxy.name, proxyEntry(proxy, release)]),
    ),
    plugins: {
      "io.containerd.internal.v1.opt": { path: join(folder, "opt") },
      "io.containerd.nri.v1.nri": nri(settings),
      ...(two && { "io.containerd.transfer.v1.local": { unpack_config: unpackers(settings) } }),
      ...(settings.cri && (two ? criTwo(settings, settings.cri) : criOne(settings, settings.cri))),
    },
  });
}

const criPlugins = {
  one: ["io.containerd.grpc.v1.cri"],
  two: [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.podsandbox.controller.v1.podsandbox",
  ],
} as const;

function proxyEntry(proxy: ProxySnapshotter, [major, minor]: ContainerdSettings["release"]) {
  const exports = major >= 2 || minor >= 7;
  return {
    type: "snapshot",
    address: proxy.address,
    ...(exports && proxy.capabilities && { capabilities: [...proxy.capabilities] }),
    ...(exports && proxy.root !== undefined && { exports: { root: proxy.root } }),
  };
}

/** NRI plugins of the machine must not connect to a private containerd. */
const nri = ({ folder, nri: enabled = false }: ContainerdSettings) => ({
  disable: !enabled,
  socket_path: containerdPaths(folder).nri,
  plugin_path: join(folder, "nri", "plugins"),
  plugin_config_path: join(folder, "nri", "conf.d"),
});

/** Defining one replaces containerd's default, so overlayfs is named too. */
const unpackers = ({ proxySnapshotters, architecture }: ContainerdSettings) =>
  ["overlayfs", ...proxySnapshotters.map(({ name }) => name)].map((snapshotter) => ({
    platform: `linux/${architecture}`,
    snapshotter,
    differ: "walking",
  }));

function handlerEntry(handler: CriHandler) {
  const { program, baseSpec } =
    typeof handler === "string" ? { program: handler, baseSpec: undefined } : handler;
  return {
    runtime_type: "io.containerd.runc.v2",
    pod_annotations: ["*", "*/*"],
    container_annotations: ["*", "*/*"],
    ...(baseSpec !== undefined && { base_runtime_spec: baseSpec }),
    options: { BinaryName: program, SystemdCgroup: false },
  };
}

const runcRuntime = ({ runc, cri }: ContainerdSettings) => ({
  default_runtime_name: "runc",
  runtimes: {
    runc: {
      runtime_type: "io.containerd.runc.v2",
      options: { BinaryName: runc, SystemdCgroup: false },
    },
    ...Object.fromEntries(
      Object.entries(cri?.handlers ?? {}).map(([name, handler]) => [name, handlerEntry(handler)]),
    ),
  },
});

const cni = ({ folder }: ContainerdSettings, cri: CriSettings) => ({
  bin_dir: cri.cniBin ?? "/usr/lib/cni",
  conf_dir: cri.cniConfig ?? join(folder, "cni"),
});

/** Without CAP_SYS_RESOURCE no process may lower its OOM score; network namespaces stay below the folder. */
const runtimeSettings = { restrict_oom_score_adj: true, netns_mounts_under_state_dir: true };

const criOne = (settings: ContainerdSettings, cri: CriSettings) => ({
  "io.containerd.grpc.v1.cri": {
    ...runtimeSettings,
    ...(cri.sandboxImage !== undefined && { sandbox_image: cri.sandboxImage }),
    containerd: {
      ...runcRuntime(settings),
      snapshotter: cri.snapshotter ?? "overlayfs",
      disable_snapshot_annotations: false,
    },
    cni: cni(settings, cri),
  },
});

const criTwo = (settings: ContainerdSettings, cri: CriSettings) => ({
  "io.containerd.cri.v1.runtime": {
    ...runtimeSettings,
    containerd: runcRuntime(settings),
    cni: cni(settings, cri),
  },
  "io.containerd.cri.v1.images": {
    snapshotter: cri.snapshotter ?? "overlayfs",
    disable_snapshot_annotations: false,
    ...(cri.sandboxImage !== undefined && { pinned_images: { sandbox: cri.sandboxImage } }),
  },
});
