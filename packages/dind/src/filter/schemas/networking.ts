import { denied } from "../refusal.ts";
import { flag, ignored, integer, list, map, text, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import type { NetworkConfig } from "../filter-config.ts";
import { resolveNetwork } from "./network-mode.ts";

const address = text({ max: 64, pattern: /^[0-9a-fA-F.:/]*$/ });

const driverOptions = map(text({ max: 4096 }), {
  key: (key, { at }) => {
    if (key !== "com.docker.network.endpoint.sysctls" && key !== "com.docker.network.endpoint.ifname")
      throw denied(`${at}[${key}]`, "this driver option is not available");
  },
});

const interfaceSysctls =
  /^(net\.(ipv[46]|mpls)\.(conf|neigh)\.IFNAME\.\w+=[\w.-]+)(,net\.(ipv[46]|mpls)\.(conf|neigh)\.IFNAME\.\w+=[\w.-]+)*$/;

/** One attachment to a network. */
export const endpoint: Schema = (value, scope) => {
  const settings = shape(value, scope);
  const options = settings instanceof Map ? settings.get("DriverOpts") : undefined;
  const sysctls = options instanceof Map ? options.get("com.docker.network.endpoint.sysctls") : undefined;
  if (typeof sysctls === "string" && !interfaceSysctls.test(sysctls))
    throw denied(`${scope.at}.DriverOpts`, "only settings of the interface (IFNAME) can be set");
  return settings;
};

const shape = struct({
  IPAMConfig: struct({ IPv4Address: address, IPv6Address: address, LinkLocalIPs: list(address) }),
  Links: list(text({ max: 300 })),
  Aliases: list(text({ max: 300 })),
  MacAddress: text({ max: 64 }),
  DriverOpts: driverOptions,
  GwPriority: integer(),
  NetworkID: ignored,
  EndpointID: ignored,
  Gateway: ignored,
  IPAddress: ignored,
  IPPrefixLen: ignored,
  IPv6Gateway: ignored,
  GlobalIPv6Address: ignored,
  GlobalIPv6PrefixLen: ignored,
  DNSNames: ignored,
});

/** `NetworkingConfig`; names of networks are decided on like `NetworkMode`. */
export function networking(network: NetworkConfig): Schema {
  const endpoints = map(endpoint, {
    whenNull: new Map(),
    key: (key, { at }) => void resolveNetwork(key, network, `${at}[${key}]`),
  });
  return struct({ EndpointsConfig: endpoints });
}

/** Bodies of `/networks/{id}/connect` and `disconnect`. */
export const connectBody = struct({
  Container: text({ max: 300, pattern: /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/ }),
  EndpointConfig: endpoint,
});
export const disconnectBody = struct({
  Container: text({ max: 300, pattern: /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/ }),
  Force: flag,
});
