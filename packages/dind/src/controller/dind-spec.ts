import { readdirSync, readFileSync } from "node:fs";
import type { RuntimeSpec, SpecDevice, SpecDeviceRule, SpecMount, SpecNamespace } from "@aeon/oci";
import { initPath } from "../image/image-recipe.ts";
import type { MainProcess } from "./main-process.ts";
import { inside, type Places } from "./places.ts";
import type { Isolation } from "./user-namespace.ts";

/** What dockerd, BuildKit and runc need; all else is out of reach for whoever gets hold of D. */
const capabilities = [
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP SETGID",
  "SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_PTRACE SYS_RESOURCE",
].flatMap((line) => line.split(" ").map((name) => `CAP_${name}`));

/** Bits of those that a process may lack: a runtime cannot give what it does not have. */
const sysResource = 24n;

function availableCapabilities(): readonly string[] {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const hasResource = (BigInt(`0x${bounding}`) & (1n << sysResource)) !== 0n;
  return capabilities.filter((name) => hasResource || name !== "CAP_SYS_RESOURCE");
}

const rule = (
  type: "c" | "b",
  major: number | undefined,
  minor: number | undefined,
  access: string,
): SpecDeviceRule => ({
  allow: true,
  type,
  access,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
});

/** What runc allows every container, which inner ones get again; nodes may be made of any number, for image layers. */
const deviceRules: readonly SpecDeviceRule[] = [
  { allow: false, access: "rwm" },
  rule("c", undefined, undefined, "m"),
  rule("b", undefined, undefined, "m"),
  ...[3, 5, 7, 8, 9].map((minor) => rule("c", 1, minor, "rwm")),
  ...[0, 1, 2].map((minor) => rule("c", 5, minor, "rwm")),
  rule("c", 136, undefined, "rwm"),
  rule("c", 10, 200, "rwm"),
];

export interface DindSpecRequest {
  readonly places: Places;
  readonly main: MainProcess;
  readonly mainSpec: RuntimeSpec | undefined;
  /** Arguments of the image's first program, which become dockerd's. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Access to devices, from {@link deviceRulesOf}. */
  readonly deviceRules: readonly SpecDeviceRule[];
  readonly isolation: Isolation;
}

/** What D's containers may do with devices; M's own devices are among them. */
export const deviceRulesOf = (mainSpec: RuntimeSpec | undefined): readonly SpecDeviceRule[] => [
  ...deviceRules,
  ...(mainSpec?.linux?.devices ?? []).map(ruleOf),
];

/** The DinD container's configuration: M's network, everything else its own, the least that dockerd runs with. */
export function dindSpec(request: DindSpecRequest): RuntimeSpec {
  const { places, main, mainSpec, args, env, isolation } = request;
  const held = availableCapabilities();
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args: [`/${initPath}`, ...args],
      cwd: "/",
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...env],
      capabilities: { bounding: held, effective: held, permitted: held },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1_048_576, soft: 1_048_576 }].filter(() =>
        held.includes("CAP_SYS_RESOURCE"),
      ),
      // Inner containers would inherit it and lose sudo and the like.
      noNewPrivileges: false,
    },
    root: { path: "rootfs", readonly: false },
    hostname: main.hostname,
    mounts: mountsOf(places, isolation),
    linux: {
      namespaces: [
        ...(["pid", "mount", "ipc", "uts", "cgroup"] as const).map((type) => ({ type })),
        { type: "network", path: `/proc/${main.pid}/ns/net` },
        ...userNamespaceOf(isolation),
      ],
      ...(isolation.kind === "user-namespace" && {
        uidMappings: isolation.uids,
        gidMappings: isolation.gids,
      }),
      cgroupsPath: `${main.cgroup === "/" ? "" : main.cgroup}/${places.container}`,
      devices: [...(mainSpec?.linux?.devices ?? [])],
      resources: { devices: [...request.deviceRules] },
      rootfsPropagation: "private",
      maskedPaths: [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger", ...settingsButNetwork()],
    },
  };
}

/** Devices of M are devices of D, and of nobody else. */
const ruleOf = ({ type, major, minor }: SpecDevice): SpecDeviceRule =>
  rule(type === "b" ? "b" : "c", major, minor, "rwm");

/** Kernel settings are the host's; those of the network belong to the network namespace, and dockerd sets some. */
const settingsButNetwork = (): readonly string[] =>
  readdirSync("/proc/sys")
    .filter((name) => name !== "net")
    .map((name) => `/proc/sys/${name}`);

const bind = (source: string, destination: string, ...options: string[]): SpecMount => ({
  type: "bind",
  source,
  destination,
  options: ["rbind", "rprivate", ...options],
});

const tmpfs = (destination: string, ...options: string[]): SpecMount => ({
  type: "tmpfs",
  source: "tmpfs",
  destination,
  options: ["nosuid", "nodev", ...options],
});

const userNamespaceOf = (isolation: Isolation): readonly SpecNamespace[] =>
  isolation.kind === "user-namespace" ? [{ type: "user", path: `/proc/${isolation.pid}/ns/user` }] : [];

function mountsOf(places: Places, isolation: Isolation): readonly SpecMount[] {
  const isMapped = isolation.kind === "user-namespace";
  return [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    tmpfs("/dev/shm", "noexec", "mode=1777", "size=65536k"),
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["nosuid", "noexec", "nodev", "rw"],
    },
    tmpfs("/run", "mode=755"),
    bind(places.run, inside.run),
    // The host's root is nobody in file systems of another user namespace, and can make nothing there.
    isMapped ? bind(places.pins, inside.pins) : tmpfs(inside.pins, "mode=700", "size=1m"),
    bind(places.config, inside.config, "ro"),
    bind(places.filtered, inside.filtered, "ro"),
    bind(places.drivers, inside.drivers, "ro"),
    // Attached later where it needs other ids.
    ...(isMapped ? [tmpfs("/tmp", "mode=1777")] : [bind(places.data, inside.data)]),
    bind(`${places.config}/resolv.conf`, "/etc/resolv.conf", "ro"),
    bind(`${places.config}/hosts`, "/etc/hosts", "ro"),
  ];
}
