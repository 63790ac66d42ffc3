import { denied } from "../refusal.ts";
import { JsonNumber } from "../json/json-value.ts";
import { ignored, integer, list, oneOf, text, refine, unset, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";

const cpuList = text({ pattern: /^[0-9,-]*$/, like: "a list such as 0-3,5" });

/** Names of `--ulimit` that cannot disturb others. */
const ulimitNames = [
  "nofile",
  "nproc",
  "core",
  "stack",
  "memlock",
  "fsize",
  "data",
  "cpu",
  "as",
  "locks",
  "rss",
];

/** `-1` is "unlimited", which dockerd may not hand out beyond what it has itself. */
function ulimits(highest: bigint): Schema {
  const small = new Set(["nofile", "nproc"]);
  return list(
    refine(struct({ Name: oneOf(ulimitNames), Soft: integer(), Hard: integer() }), (value, { at }) => {
      if (!(value instanceof Map)) return undefined;
      const name = value.get("Name");
      if (typeof name === "string" && small.has(name))
        for (const key of ["Soft", "Hard"]) {
          const limit = value.get(key);
          const number = limit instanceof JsonNumber ? (limit.integer ?? 0n) : 0n;
          if (number > highest || number < 0n)
            throw denied(`${at}.${key}`, `${name} can be at most ${highest}`);
        }
      return value;
    }),
  );
}

/** What a container may use: bounded by the pod's own cgroup, whatever is asked for. */
export const resourceFields = (highestUlimit: number): Readonly<Record<string, Schema>> => ({
  CpuShares: integer(),
  Memory: integer(),
  NanoCpus: integer(),
  CgroupParent: ignored,
  BlkioWeight: integer({ min: 0n, max: 1000n }),
  BlkioWeightDevice: ignored,
  BlkioDeviceReadBps: ignored,
  BlkioDeviceWriteBps: ignored,
  BlkioDeviceReadIOps: ignored,
  BlkioDeviceWriteIOps: ignored,
  CpuPeriod: integer(),
  CpuQuota: integer(),
  CpuRealtimePeriod: unset("real-time scheduling is not given to containers"),
  CpuRealtimeRuntime: unset("real-time scheduling is not given to containers"),
  CpusetCpus: cpuList,
  CpusetMems: cpuList,
  DeviceCgroupRules: unset("rules for devices are not given to containers; leave --device-cgroup-rule out"),
  KernelMemory: ignored,
  KernelMemoryTCP: ignored,
  MemoryReservation: integer(),
  MemorySwap: integer(),
  MemorySwappiness: integer({ min: -1n, max: 100n }),
  OomKillDisable: unset("the out-of-memory killer cannot be turned off"),
  PidsLimit: integer(),
  Ulimits: ulimits(BigInt(highestUlimit)),
  CpuCount: ignored,
  CpuPercent: ignored,
  IOMaximumIOps: ignored,
  IOMaximumBandwidth: ignored,
});

export const restartPolicy = struct({
  Name: oneOf(["", "no", "always", "on-failure", "unless-stopped"]),
  MaximumRetryCount: integer(),
});
