import { isArray, type JsonObject, type JsonValue, plainText } from "../json/json-value.ts";
import { denied, malformed } from "../refusal.ts";
import { parseBind } from "../schemas/bind.ts";
import { hostAllowed } from "../schemas/network-mode.ts";
import { sysctls } from "../schemas/sysctls.ts";
import { topScope } from "../schema/scope.ts";
import { pinSource } from "./pin-source.ts";
import { objectAt, textAt, type Pending, type StepContext } from "./step.ts";
import { pinVolumeDevice } from "./volume-device.ts";

/** Fields that are always said, so that no daemon's or version's own default comes in. */
const explicit: readonly (readonly [string, JsonValue])[] = [
  ["Privileged", false],
  ["CapAdd", []],
  ["CgroupnsMode", "private"],
  ["IpcMode", "private"],
  ["PidMode", ""],
  ["UTSMode", ""],
  ["UsernsMode", ""],
  ["NetworkMode", "default"],
  ["SecurityOpt", []],
  ["Devices", []],
  ["DeviceCgroupRules", []],
  ["PublishAllPorts", false],
  ["Runtime", ""],
];

/** Turns a checked `POST /containers/create` into what dockerd gets: a complete HostConfig, and paths that are pinned. */
export async function prepareContainer(body: JsonValue | undefined, context: StepContext): Promise<Pending> {
  if (!(body instanceof Map)) throw malformed("", "the body has to be an object");
  const host = new Map(objectAt(body, "HostConfig"));
  body.set("HostConfig", host);
  moveLegacy(body, host);
  for (const [key, value] of explicit) if (!host.has(key) || host.get(key) === "") host.set(key, value);
  host.set("CgroupParent", context.settings.cgroupParent);
  await joinNetwork(body, host, context);
  checkSysctls(host);
  const ids: string[] = [];
  const binds: string[] = [];
  try {
    await pinBinds(host, context, ids, binds);
    await pinMounts(host, context, ids);
  } catch (error) {
    await context.pins.release(ids);
    throw error;
  }
  return {
    async answered(status, text) {
      if (status === 201) context.pins.settle(ids, { container: idIn(text), binds });
      else await context.pins.release(ids);
      return text;
    },
    failed: () => context.pins.settle(ids),
  };
}

const idIn = (text: string): string => /"Id":"([0-9a-f]{64})"/.exec(text)?.[1] ?? "";

function moveLegacy(body: JsonObject, host: JsonObject): void {
  for (const [from, to] of [
    ["Memory", "Memory"],
    ["MemorySwap", "MemorySwap"],
    ["CpuShares", "CpuShares"],
    ["Cpuset", "CpusetCpus"],
  ] as const) {
    const value = body.get(from);
    body.delete(from);
    if (value !== undefined && !host.has(to)) host.set(to, value);
  }
}

/** Mode and attachments under the pod's policy. */
async function joinNetwork(body: JsonObject, host: JsonObject, context: StepContext): Promise<void> {
  const { network } = context.settings;
  const mode = textAt(host, "NetworkMode");
  if (network.policy === "strict" && mode === "default")
    throw denied(
      "HostConfig.NetworkMode",
      "this pod allows only --network none and --network container:<name>",
      "network-strict",
    );
  if (network.policy === "shared" && mode === "default") host.set("NetworkMode", "host");
  const joined = textAt(host, "NetworkMode");
  if (network.policy === "shared" && joined === "host") body.delete("NetworkingConfig");
  if (joined === "host" || joined.startsWith("container:")) {
    host.delete("PortBindings");
    host.delete("PublishAllPorts");
  }
  if (joined.startsWith("container:")) {
    if (!hostAllowed(network)) await refuseIndirectHost(joined.slice("container:".length), context);
    for (const key of ["Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "Links"]) host.delete(key);
    for (const key of ["Hostname", "Domainname", "ExposedPorts", "MacAddress", "NetworkingConfig"])
      body.delete(key);
  }
}

/** Where the pod's own network may not be joined, neither may a container that has it from before. */
async function refuseIndirectHost(id: string, { upstream }: StepContext): Promise<void> {
  for (let name = id, depth = 0; depth < 16; depth += 1) {
    const { status, text } = await upstream.call("GET", `/containers/${encodeURIComponent(name)}/json`);
    if (status !== 200) return;
    const found: unknown = JSON.parse(text);
    const mode = /"NetworkMode":"([^"]*)"/.exec(JSON.stringify(found))?.[1] ?? "";
    if (mode === "host")
      throw denied("HostConfig.NetworkMode", "that container is on the pod's network", "network-host");
    if (!mode.startsWith("container:")) return;
    name = mode.slice("container:".length);
  }
}

function checkSysctls(host: JsonObject): void {
  const value = host.get("Sysctls");
  if (value === undefined) return;
  const mode = textAt(host, "NetworkMode");
  const own = mode !== "host" && !mode.startsWith("container:");
  const checked = sysctls(() => own)(value, { ...topScope(), at: "HostConfig.Sysctls" });
  if (checked !== undefined) host.set("Sysctls", checked);
}

/** Paths among the binds become mounts, which dockerd does not make by itself when a pin is lost. */
async function pinBinds(
  host: JsonObject,
  context: StepContext,
  ids: string[],
  asked: string[],
): Promise<void> {
  const value = host.get("Binds");
  if (!isArray(value)) return;
  const at = "HostConfig.Binds";
  const rest: JsonValue[] = [];
  const mounts: JsonValue[] = [];
  for (const spec of value) {
    const bind = parseBind(plainText(spec), at);
    if (bind.kind === "volume") {
      rest.push(bind.text);
      continue;
    }
    const source = await pinSource(context, bind.source, at, { create: true, recursive: true });
    if (source.id !== undefined) ids.push(source.id);
    asked.push(plainText(spec));
    mounts.push(bindMount(source.path, bind.target, bind.readOnly || source.readOnly));
  }
  host.set("Binds", rest);
  const before = host.get("Mounts");
  if (mounts.length > 0) host.set("Mounts", [...(isArray(before) ? before : []), ...mounts]);
}

/** Marks a mount that came from a bind until the mounts of the request are done. */
const finished = new WeakSet<JsonObject>();

function bindMount(source: string, target: string, readOnly: boolean): JsonObject {
  const mount: JsonObject = new Map<string, JsonValue>([
    ["Type", "bind"],
    ["Source", source],
    ["Target", target],
    ["ReadOnly", readOnly],
    ["BindOptions", new Map([["Propagation", "rprivate"]])],
  ]);
  finished.add(mount);
  return mount;
}

async function pinMounts(host: JsonObject, context: StepContext, ids: string[]): Promise<void> {
  const value = host.get("Mounts");
  if (!isArray(value)) return;
  for (const mount of value) {
    if (!(mount instanceof Map) || finished.has(mount)) continue;
    if (mount.get("Type") === "bind") await pinMount(mount, context, ids);
    const driver = objectAt(objectAt(mount, "VolumeOptions"), "DriverConfig");
    if (driver.size > 0) {
      const at = "HostConfig.Mounts.VolumeOptions.DriverConfig.Options";
      const { options, id } = await pinVolumeDevice(context, driver.get("Options"), at);
      if (id !== undefined) ids.push(id);
      driver.set("Name", "local");
      driver.set("Options", options);
    }
  }
}

async function pinMount(mount: JsonObject, context: StepContext, ids: string[]): Promise<void> {
  const options = new Map(objectAt(mount, "BindOptions"));
  const create = options.get("CreateMountpoint") === true;
  const recursive = options.get("NonRecursive") !== true;
  const source = await pinSource(context, textAt(mount, "Source"), "HostConfig.Mounts.Source", {
    create,
    recursive,
  });
  if (source.id !== undefined) ids.push(source.id);
  mount.set("Source", source.path);
  if (source.readOnly) mount.set("ReadOnly", true);
  options.delete("CreateMountpoint");
  options.set("Propagation", "rprivate");
  mount.set("BindOptions", options);
}
