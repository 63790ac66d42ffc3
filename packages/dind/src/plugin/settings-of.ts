import type { ContainerInfo } from "@aeon/containerd";
import * as v from "valibot";
import { liveSettings, type DindSettings } from "../controller/dind-settings.ts";
import { dindConfig, type DindConfig } from "./config.ts";

/** A setting with what it is and where that comes from. */
export interface ExplainedSetting {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
  readonly live: boolean;
}

/** The pod's namespace, or containerd's. */
export const tenantOf = (info: ContainerInfo, namespace: string): string =>
  info.labels["io.kubernetes.pod.namespace"] ?? namespace;

const mirrorsOf = (config: DindConfig, tenant: string): readonly string[] =>
  config["tenant-mirrors"]
    .filter((entry) => entry.startsWith(`${tenant}=`))
    .map((entry) => entry.slice(tenant.length + 1));

/** What holds for a main container. */
export function settingsOf(config: DindConfig, info: ContainerInfo, namespace: string): DindSettings {
  const own = mirrorsOf(config, tenantOf(info, namespace));
  return {
    image: config.image,
    diskLimit: config["disk-limit"],
    network: config.network,
    addressPool: config["address-pool"],
    registryMirrors: own.length > 0 ? own : config["registry-mirrors"],
    insecureRegistries: config["insecure-registries"],
    policyFile: config["policy-file"],
    idleMs: config["idle-stop"],
    userNamespace: config["user-namespace"],
    debug: config.debug,
  };
}

const keys: Readonly<Record<keyof DindSettings, keyof DindConfig>> = {
  image: "image",
  diskLimit: "disk-limit",
  network: "network",
  addressPool: "address-pool",
  registryMirrors: "registry-mirrors",
  insecureRegistries: "insecure-registries",
  policyFile: "policy-file",
  idleMs: "idle-stop",
  userNamespace: "user-namespace",
  debug: "debug",
};

/** The settings in force, each with the table that it comes from. `settings` are those that D was started with. */
export function explainSettings(
  config: DindConfig,
  info: ContainerInfo,
  namespace: string,
  settings: DindSettings,
): readonly ExplainedSetting[] {
  const defaults = v.parse(dindConfig, {});
  const tenant = tenantOf(info, namespace);
  return Object.entries(keys).map(([name, key]) => {
    const value: unknown = Reflect.get(settings, name);
    const isTenants = key === "registry-mirrors" && mirrorsOf(config, tenant).length > 0;
    const isDefault = JSON.stringify(value) === JSON.stringify(defaults[key]);
    const source = isTenants ? `dind.tenant-mirrors of ${tenant}` : isDefault ? "default" : "[dind]";
    return { key, value: value ?? null, source, live: liveSettings.some((live) => live === name) };
  });
}

/** What a container asks for by its labels and annotations. */
export function requestOf(config: DindConfig, info: ContainerInfo): "start" | "arm" | undefined {
  for (const name of config.annotations) {
    const value = info.spec?.annotations?.[name] ?? info.labels[name];
    if (value === "true" || value === "start") return "start";
    if (value === "lazy") return "arm";
  }
  return undefined;
}
