import { errors } from "./errors.ts";
import type { ImageConfig } from "./image.ts";
import type {
  RuntimeSpec,
  SpecDeviceRule,
  SpecLinux,
  SpecMount,
  SpecProcess,
  SpecResources,
  SpecUser,
} from "./runtime-spec.ts";

export interface SpecOptions {
  /** containerd's container id; with `namespace` it names the cgroup. */
  readonly id: string;
  /** containerd's namespace. */
  readonly namespace: string;
  /** Gives command, environment, user and working directory where they are not set here. */
  readonly image?: ImageConfig;
  /** Replaces the image's entrypoint, and its command too unless `args` is set. */
  readonly entrypoint?: readonly string[];
  /** Replaces the image's command (what follows the entrypoint). */
  readonly args?: readonly string[];
  /** `KEY=value`; wins over the image's. */
  readonly env?: readonly string[];
  readonly cwd?: string;
  /** Required when the image names its user by name. */
  readonly user?: SpecUser;
  readonly hostname?: string;
  readonly terminal?: boolean;
  /** Added after the default mounts; one with the same destination replaces the default. */
  readonly mounts?: readonly SpecMount[];
  /** Capabilities beyond the default set, such as `CAP_SYS_ADMIN`. */
  readonly addCapabilities?: readonly string[];
  readonly readonlyRoot?: boolean;
  /** Shares the host's network namespace. */
  readonly hostNetwork?: boolean;
  readonly resources?: SpecResources;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * A Linux container's runtime configuration with the isolation that containerd gives by default: own pid, ipc, uts,
 * mount and network namespaces, fourteen capabilities, a device allow-list, masked kernel paths, no seccomp filter.
 * Throws `IMAGE_WITHOUT_COMMAND` or `USER_UNRESOLVED`.
 */
export function defaultSpec(options: SpecOptions): RuntimeSpec {
  return {
    ociVersion: "1.0.2",
    process: processOf(options),
    root: { path: "rootfs", readonly: options.readonlyRoot ?? false },
    ...(options.hostname !== undefined && { hostname: options.hostname }),
    mounts: mountsOf(options.mounts ?? []),
    ...(options.annotations && { annotations: options.annotations }),
    linux: linuxOf(options),
  };
}

function processOf(options: SpecOptions): SpecProcess {
  const capabilities = [...new Set([...defaultCapabilities, ...(options.addCapabilities ?? [])])];
  return {
    terminal: options.terminal ?? false,
    user: options.user ?? numericUser(options.image?.config?.User ?? ""),
    args: commandOf(options),
    env: environmentOf(options),
    cwd: options.cwd ?? (options.image?.config?.WorkingDir || "/"),
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  };
}

function commandOf({ id, image, entrypoint, args }: SpecOptions): readonly string[] {
  const first = entrypoint ?? image?.config?.Entrypoint ?? [];
  const rest = args ?? (entrypoint ? [] : (image?.config?.Cmd ?? []));
  const command = [...first, ...rest];
  if (command.length === 0)
    throw errors.IMAGE_WITHOUT_COMMAND(`container ${id}: its image names no command and none was given`);
  return command;
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Later entries win; each name appears once. */
function environmentOf({ image, env = [], terminal }: SpecOptions): readonly string[] {
  const entries = [defaultPath, ...(terminal ? ["TERM=xterm"] : []), ...(image?.config?.Env ?? []), ...env];
  return [...new Map(entries.map((entry) => [entry.split("=", 1)[0], entry])).values()];
}

/** Reads `uid`, `uid:gid` or nothing (root) as an image config holds it. Throws `USER_UNRESOLVED` for names. */
export function numericUser(text: string): SpecUser {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  if (match?.[1] === undefined && text !== "")
    throw errors.USER_UNRESOLVED(`user ${JSON.stringify(text)} is a name, not a number`);
  // Without a group, the numeric user's primary group is unknown to us: root's, as container engines do.
  return { uid: Number(match?.[1] ?? 0), gid: Number(match?.[2] ?? 0) };
}

function mountsOf(extra: readonly SpecMount[]): readonly SpecMount[] {
  const replaced = new Set(extra.map(({ destination }) => destination));
  return [...defaultMounts.filter(({ destination }) => !replaced.has(destination)), ...extra];
}

function linuxOf({ id, namespace, hostNetwork, resources }: SpecOptions): SpecLinux {
  const types = ["pid", "ipc", "uts", "mount", ...(hostNetwork ? [] : (["network"] as const))] as const;
  return {
    namespaces: types.map((type) => ({ type })),
    cgroupsPath: `/${namespace}/${id}`,
    resources: { ...resources, devices: [...deviceRules, ...(resources?.devices ?? [])] },
    maskedPaths: [...maskedPaths],
    readonlyPaths: [...readonlyPaths],
  };
}

const defaultCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
] as const;

const tmpfs = (destination: string, options: readonly string[]): SpecMount => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options: ["nosuid", ...options],
});

const defaultMounts: readonly SpecMount[] = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  tmpfs("/dev", ["strictatime", "mode=755", "size=65536k"]),
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  tmpfs("/run", ["strictatime", "mode=755", "size=65536k"]),
];

const character = (major: number, minor?: number): SpecDeviceRule => ({
  allow: true,
  type: "c",
  major,
  ...(minor !== undefined && { minor }),
  access: "rwm",
});

/** Nothing but: null, zero, full, random, urandom, tty, console, ptmx, pseudo terminals. */
const deviceRules: readonly SpecDeviceRule[] = [
  { allow: false, access: "rwm" },
  ...[3, 5, 7, 8, 9].map((minor) => character(1, minor)),
  ...[0, 1, 2].map((minor) => character(5, minor)),
  character(136),
];

const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
] as const;

const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"] as const;
