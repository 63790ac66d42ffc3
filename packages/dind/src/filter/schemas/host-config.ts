import { plainText } from "../json/json-value.ts";
import type { FilterSettings } from "../settings.ts";
import { denied, malformed } from "../refusal.ts";
import {
  flag,
  ignored,
  integer,
  list,
  map,
  oneOf,
  show,
  text,
  refine,
  unset,
  type Schema,
} from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { capAdd, capDrop } from "./capabilities.ts";
import { deviceRequests, devices } from "./devices.ts";
import { resourceFields, restartPolicy } from "./limits.ts";
import { logConfig } from "./log-config.ts";
import { maskedPaths, readonlyPaths } from "./masked-paths.ts";
import { mount } from "./mount.ts";
import { namespaceMode } from "./namespaces.ts";
import { networkMode } from "./network-mode.ts";
import { portBindings } from "./ports.ts";
import { securityOpt } from "./security-opt.ts";
import { tmpfs } from "./tmpfs.ts";

const address = text({ max: 45, pattern: /^[0-9a-fA-F.:]*$/ });
const inner = text({ max: 300, pattern: /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*(:[a-zA-Z0-9/][a-zA-Z0-9_./-]*)?$/ });

/** All that `docker run` can ask of the host, with this pod's answers. */
export function hostConfig(settings: FilterSettings): Schema {
  const { network, limits } = settings;
  const gateway = network.hostGateway;
  return struct({
    ...resourceFields(limits.ulimit),
    Devices: devices(settings.devices),
    DeviceRequests: deviceRequests(settings.devices),
    Binds: list(text({ max: 8192 })),
    ContainerIDFile: ignored,
    LogConfig: logConfig,
    NetworkMode: networkMode(network),
    PortBindings: portBindings(new Set(network.reservedPorts ?? [])),
    RestartPolicy: restartPolicy,
    AutoRemove: flag,
    VolumeDriver: oneOf(["", "local"]),
    VolumesFrom: list(text({ max: 300, pattern: /^[a-zA-Z0-9][a-zA-Z0-9_.-]*(:(ro|rw))?$/ })),
    Mounts: list(mount),
    ConsoleSize: ignored,
    Annotations: unset("annotations reach the low-level runtime; leave --annotation out"),
    CapAdd: capAdd,
    CapDrop: capDrop,
    Capabilities: unset("use CapAdd and CapDrop"),
    CgroupnsMode: namespaceMode(["", "private"], false),
    Dns: list(address),
    DnsOptions: list(text({ max: 256 })),
    DnsSearch: list(text({ max: 256 })),
    ExtraHosts: list(
      refine(text({ max: 512 }), (value, { at }) => {
        const [name, target] = splitHost(plainText(value));
        if (name === "" || target === "") throw malformed(at, `${show(value)} has to be name:address`);
        return target === "host-gateway" && gateway !== undefined ? `${name}:${gateway}` : value;
      }),
    ),
    GroupAdd: list(text({ max: 64 })),
    IpcMode: namespaceMode(["", "private", "shareable", "none"]),
    Cgroup: unset("leave it out"),
    Links: list(inner),
    OomScoreAdj: integer({ min: 0n, max: 1000n }),
    PidMode: namespaceMode([""]),
    Privileged: unset("privileged containers are not run here; add single capabilities with --cap-add"),
    PublishAllPorts: flag,
    ReadonlyRootfs: flag,
    SecurityOpt: securityOpt,
    StorageOpt: map(text({ max: 64 }), {
      key: (key, { at }) => {
        if (key !== "size") throw denied(`${at}[${key}]`, "only size can be set");
      },
    }),
    Tmpfs: tmpfs,
    UTSMode: namespaceMode([""], false),
    UsernsMode: namespaceMode([""], false),
    ShmSize: integer({ min: 0n, max: BigInt(limits.shmBytes) }),
    // Which of them are allowed depends on the networks, see container-create.ts.
    Sysctls: map(text({ max: 4096 })),
    Runtime: oneOf(["", "runc", "io.containerd.runc.v2"]),
    Isolation: ignored,
    MaskedPaths: maskedPaths,
    ReadonlyPaths: readonlyPaths,
    Init: flag,
    InitPath: unset("leave it out"),
  });
}

function splitHost(value: string): readonly [string, string] {
  const at = value.search(/[:=]/);
  return at < 0 ? ["", ""] : [value.slice(0, at), value.slice(at + 1)];
}
