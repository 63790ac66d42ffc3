import { plainText } from "../json/json-value.ts";
import type { NetworkConfig } from "../filter-config.ts";
import { denied } from "../refusal.ts";
import { text, refine, type Schema } from "../schema/schema.ts";
import { containerMode } from "./namespaces.ts";

const networkName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Whether the pod's own network may be joined by `--network host`. */
export const hostAllowed = ({ policy, host }: NetworkConfig): boolean => host ?? policy !== "strict";

/** The network that a container really gets under the policy, or a refusal that names the way out. */
export function networkMode(network: NetworkConfig): Schema {
  return refine(text({ max: 300 }), (value, { at }) => resolveNetwork(plainText(value), network, at));
}

/** As {@link networkMode}, for a plain string. */
export function resolveNetwork(mode: string, network: NetworkConfig, at: string): string {
  if (mode === "none" || containerMode.test(mode)) return mode;
  if (network.policy === "strict")
    throw denied(at, "this pod allows only --network none and --network container:<name>", "network-strict");
  if (mode === "host" && !hostAllowed(network))
    throw denied(at, "the pod's network cannot be joined; use a bridge network", "network-host");
  if (network.policy === "shared") return "host";
  if (mode === "host") return mode;
  if (mode !== "" && !networkName.test(mode)) throw denied(at, "is no name of a network");
  return mode === "" ? "default" : mode;
}
