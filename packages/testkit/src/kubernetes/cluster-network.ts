import { randomInt } from "node:crypto";
import { run } from "@aeon/standalone";

/** A bridge of the test's own between the control plane on this machine and nodes in network namespaces. */
export interface ClusterNetwork extends AsyncDisposable {
  /** Name of the bridge. */
  readonly name: string;
  /** Address of this machine on it. */
  readonly gateway: string;
  nodeAddress(index: number): string;
  podSubnet(index: number): string;
  /** The indexes of all other nodes there may be. */
  others(index: number): readonly number[];
}

const maxNodes = 3;

/** Makes the bridge in a part of 198.18.0.0/15, which is set aside for tests, that no other run uses. */
export async function createClusterNetwork(): Promise<ClusterNetwork> {
  for (let attempt = 0; ; attempt += 1) {
    const number = randomInt(1, 250);
    const name = `aeont${number}`;
    try {
      await run("ip", ["link", "add", name, "type", "bridge"]);
    } catch (error) {
      if (attempt === 20) throw error;
      continue;
    }
    const remove = async (): Promise<void> => {
      await run("ip", ["link", "del", name]);
    };
    try {
      const gateway = `198.18.${number}.1`;
      await run("ip", ["address", "add", `${gateway}/24`, "dev", name]);
      await run("ip", ["link", "set", name, "up"]);
      return {
        name,
        gateway,
        nodeAddress: (index) => `198.18.${number}.${10 + index}`,
        podSubnet: (index) => `198.19.${number}.${index * 64}/26`,
        others: (index) =>
          Array.from({ length: maxNodes }, (_, other) => other + 1).filter((other) => other !== index),
        [Symbol.asyncDispose]: remove,
      };
    } catch (error) {
      await remove();
      throw error;
    }
  }
}
