import { setTimeout as delay } from "node:timers/promises";
import { errorMessage } from "@aeon/core";
import { expect, test } from "vitest";
import { Random, seedOfRun } from "./crash/random.ts";
import { startNode, type AeonNode } from "./servers/node.ts";

const rounds = Number(process.env["AEON_AGENT_CRASH_ROUNDS"] ?? 20);
const containersPerRound = 3;
const longestRoundMs = 900;

interface Backup {
  readonly id: string;
  readonly state: string;
}

test(
  `no finished container loses its files when the agent is killed ${rounds} times`,
  { timeout: 900_000 },
  async () => {
    const seed = seedOfRun();
    console.log(`agent crash test with AEON_SEED=${seed}`);
    const random = new Random(seed);
    await using node = await startNode({ policy: "all" });
    const finished = new Set<string>();
    let refused = 0;

    for (let round = 0; round < rounds; round++) {
      const running = Array.from({ length: containersPerRound }, async (_, index) => {
        const id = `r${round}-${index}`;
        await delay(random.below(400));
        // The last line is the promise: what was written before it has to be found again.
        const output = await node
          .run(id, `echo ${id} > /proof; rm /etc/motd; echo end-$((40 + 2))`)
          .catch(errorMessage);
        if (output.includes("end-42")) finished.add(id);
        else refused++;
      });
      await delay(100 + random.below(longestRoundMs));
      await node.agent.kill();
      await Promise.all(running);
      await node.startAgain();
      await reconnected(node);
    }

    await removeLeftOvers(node);
    const found = await proofsInBackups(node, finished.size);
    console.log(
      `${rounds} kills, ${finished.size} containers finished, ${refused} refused, ${found.size} found in backups`,
    );
    expect(
      [...finished].filter((id) => !found.has(id)),
      `lost, AEON_SEED=${seed}`,
    ).toEqual([]);
    expect(finished.size).toBeGreaterThan(rounds / 2);
  },
);

/** containerd dials a socket that was gone again at its own pace, within three seconds. */
async function reconnected(node: AeonNode): Promise<void> {
  const usage = (): Promise<string> =>
    node.containerd.ctr(["snapshots", "--snapshotter", "aeon", "usage"]).then(() => "answered", errorMessage);
  await expect.poll(usage, { timeout: 10_000, interval: 50 }).toBe("answered");
}

/** Containers that a missing snapshotter kept `ctr` from removing; then one whose removal starts a collection. */
async function removeLeftOvers(node: AeonNode): Promise<void> {
  const { containerd } = node;
  const ids = async (): Promise<readonly string[]> =>
    (await containerd.ctr(["containers", "list", "--quiet"])).split("\n").filter((id) => id !== "");
  // containerd dials the socket again at its own pace.
  await expect
    .poll(() => node.run("collect", "echo alive").catch(String), { timeout: 10_000 })
    .toBe("alive\n");
  for (const id of await ids()) {
    await containerd.ctr(["tasks", "delete", "--force", id]).catch(() => {});
    await containerd.ctr(["containers", "delete", id]);
  }
  await node.run("collect", "true");
}

/** Restores every backup into a new container and reads whose files those are. */
async function proofsInBackups(node: AeonNode, atLeast: number): Promise<ReadonlySet<string>> {
  const list = async (): Promise<readonly Backup[]> =>
    JSON.parse(await node.aeonctl("backups", "ls", "--output", "json")) as Backup[];
  const pending = async (): Promise<string> => {
    const backups = await list();
    const open = backups.filter(({ state }) => state !== "stored").length;
    return open === 0 && backups.length >= atLeast ? "all stored" : `${backups.length} backups, ${open} open`;
  };
  await expect.poll(pending, { timeout: 60_000, interval: 200 }).toBe("all stored");
  const found = new Set<string>();
  for (const { id } of await list()) {
    const container = `read-${id}`;
    await node.aeonctl("restore", id, "--container", container);
    // ctr drops the output of a container that ends before ctr has opened its pipes: hence the sleep.
    const script = "cat /proof; test ! -e /etc/motd || echo not deleted; sleep 0.5";
    const output = await node.run(container, script);
    expect(output, `files of backup ${id}`).not.toBe("");
    const [proof = "", ...rest] = output.split("\n").filter((line) => line !== "");
    expect(rest, `backup ${id} of ${proof}`).toEqual([]);
    found.add(proof);
  }
  return found;
}
