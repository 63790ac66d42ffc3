import { plainText } from "../json/json-value.ts";
import { BlockList, isIP } from "node:net";
import type { NetworkConfig } from "../filter-config.ts";
import { denied, malformed } from "../refusal.ts";
import { flag, list, map, oneOf, text, refine, unset, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { labels } from "./config.ts";
import { overlaps, parseSubnet, type Subnet } from "./subnet.ts";

const options = new Set([
  "com.docker.network.driver.mtu",
  "com.docker.network.bridge.enable_icc",
  "com.docker.network.bridge.enable_ip_masquerade",
  "com.docker.network.bridge.host_binding_ipv4",
]);

const address = text({ max: 64, pattern: /^[0-9a-fA-F.:/]*$/ });

/** Where user networks may be when no pools are configured: private ranges, nothing that could be a route of the pod's. */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"].map(parseSubnet);
const widest = { 4: 16, 6: 48 } as const;

/** Body of `POST /networks/create`. */
export function networkCreate(network: NetworkConfig): Schema {
  const pools = network.pools?.map(parseSubnet) ?? privateRanges;
  const reserved = (network.reserved ?? []).map(parseSubnet);
  const subnet = refine(address, (value, { at }) => {
    if (value === "") return value;
    const wanted = parsed(plainText(value), at);
    const pool = pools.find((candidate) => within(wanted, candidate));
    if (pool === undefined || wanted.bits < widest[wanted.family])
      throw denied(
        at,
        `${plainText(value)} is outside of the ranges for networks of containers`,
        "network-subnet",
      );
    if (reserved.some((range) => overlaps(range, wanted)))
      throw denied(
        at,
        `${plainText(value)} overlaps a network of the cluster; choose another one`,
        "network-subnet",
      );
    return value;
  });
  return struct({
    Name: text({ max: 255, pattern: /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/ }),
    CheckDuplicate: flag,
    Driver: oneOf(["", "bridge", "default"]),
    Scope: oneOf(["", "local"]),
    Internal: flag,
    Attachable: flag,
    Ingress: unset("swarm networks are not available"),
    ConfigOnly: unset("leave it out"),
    ConfigFrom: refine(struct({ Network: unset("leave it out") }), () => undefined),
    EnableIPv4: flag,
    EnableIPv6: flag,
    IPAM: struct({
      Driver: oneOf(["", "default"]),
      Options: map(unset("options of the address management are not available")),
      Config: list(
        struct({
          Subnet: subnet,
          IPRange: subnet,
          Gateway: address,
          AuxiliaryAddresses: map(address),
          AuxAddress: map(address),
        }),
      ),
    }),
    Options: map(text({ max: 256 }), {
      key: (key, { at }) => {
        if (!options.has(key)) throw denied(`${at}[${key}]`, `use only ${[...options].join(", ")}`);
      },
    }),
    Labels: labels,
  });
}

function parsed(value: string, at: string): Subnet {
  try {
    return parseSubnet(value);
  } catch {
    throw malformed(at, "has to be a subnet such as 172.30.0.0/24");
  }
}

function within(inner: Subnet, outer: Subnet): boolean {
  if (inner.family !== outer.family || inner.bits < outer.bits || isIP(inner.address) === 0) return false;
  const family = outer.family === 4 ? "ipv4" : "ipv6";
  const range = new BlockList();
  range.addSubnet(outer.address, outer.bits, family);
  return range.check(inner.address, family);
}
