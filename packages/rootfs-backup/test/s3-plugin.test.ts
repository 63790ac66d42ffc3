import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { containerId } from "@aeon/core";
import { difference, launchFaultProxy } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeImage, mess, removeContainer, runContainer } from "./containers.ts";
import { openStore } from "../src/inspect/open-store.ts";
import { parseBackupId } from "../src/index.ts";
import { call, space, startNode, type NodeOptions } from "./node.ts";
import { filesBelow, scratch } from "./scratch.ts";
import { launchBucket, type TestBucket } from "./s3.ts";

let bucket: TestBucket;
beforeAll(async () => {
  bucket = await launchBucket();
  const { accessKey, secretKey } = bucket.gateway;
  writeFileSync(join(bucket.folder, "credentials"), JSON.stringify({ accessKey, secretKey }));
});
afterAll(() => bucket[Symbol.asyncDispose]());

const store = (changes: object = {}): NonNullable<NodeOptions["config"]>["store"] => ({
  type: "s3",
  endpoint: bucket.gateway.tlsEndpoint,
  bucket: bucket.bucket,
  prefix: "backups",
  "credentials-file": join(bucket.folder, "credentials"),
  "ca-file": bucket.gateway.caFile,
  "part-size": "5MiB",
  ...changes,
});

test(
  "a container's files go back and forth between two nodes through a bucket",
  { timeout: 180_000 },
  async () => {
    using dir = scratch();
    const differences: string[][] = [];
    const chains: number[] = [];
    let after: ReadonlyMap<string, string> | undefined;
    let id: string | undefined;
    // Each knows nothing of what the other did but what is in the bucket.
    const config = { store: store() };
    await using first = await startNode({ root: dir.at("node-0"), config });
    await using second = await startNode({ root: dir.at("node-1"), config });
    const nodes = [
      { node: first, parent: await makeImage(first, dir) },
      { node: second, parent: await makeImage(second, dir) },
    ];
    for (let cycle = 0; cycle < 5; cycle += 1) {
      const { node, parent } = nodes[cycle % 2] ?? {};
      if (node === undefined || parent === undefined) throw new Error("there are two nodes");
      const name = `container-${cycle}`;
      if (id !== undefined)
        await node.backups.requestRestore(
          { backupId: parseBackupId(id), namespace: space, containerId: containerId(name) },
          call.signal,
        );
      const big = `dd if=/dev/urandom of=big-${cycle} bs=1M count=12 status=none`;
      const ran = await runContainer(node, dir, { id: name, parent, script: `${mess(cycle)}\n${big}` });
      const from = id;
      differences.push(after === undefined ? [] : difference(after, ran.before));
      after = ran.after;
      id = await removeContainer(node, ran);
      if (id === undefined) throw new Error("no backup was made");
      const { parent: recorded } = await node.backups.get(parseBackupId(id), call.signal);
      expect(recorded).toBe(from);
      chains.push((await node.chain(parseBackupId(id))).length);
      await node.backups.settled(call.signal);
      expect(readdirSync(dir.at(`node-${cycle % 2}/backup/staging`))).toEqual([]);
      expect(filesBelow(dir.at(`node-${cycle % 2}/backup/spool`))).toEqual([]);
    }
    expect(differences).toEqual([[], [], [], [], []]);
    expect(chains).toEqual([1, 2, 3, 4, 5]);
  },
);

test(
  "what was captured while the bucket was out of reach is stored later",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    await using proxy = await launchFaultProxy({ target: bucket.gateway.endpoint, seed: 1 });
    proxy.interrupt();
    const config = { store: store({ endpoint: proxy.endpoint, "connect-timeout": "1s" }) };
    await using node = await startNode({ root: dir.at("node"), config });
    const ran = await runContainer(node, dir, { id: "one", script: "echo 1 > a" });
    await node.snapshotter.remove({ key: ran.key }, call);
    const [backup] = await node.backups.list(call.signal).catch(() => []);
    expect(readdirSync(dir.at("node/backup/staging"))).toHaveLength(1);
    proxy.restore();
    const { id } = backup ?? (await node.backups.list(call.signal))[0] ?? {};
    if (id === undefined) throw new Error("no backup was made");
    for await (const each of node.backups.watch(id, call.signal)) if (each.state === "stored") break;
    await node.backups.settled(call.signal);
    expect(readdirSync(dir.at("node/backup/staging"))).toEqual([]);
    // As `aeonctl backup` reads it, without the agent.
    await using opened = await openStore({ table: JSON.stringify(node.backups.storeTable) });
    expect((await opened.store.getBackup(id, call.signal))?.document.id).toBe(id);
    const query = new URLSearchParams({
      endpoint: bucket.gateway.endpoint,
      "credentials-file": join(bucket.folder, "credentials"),
    });
    await using named = await openStore({ location: `s3://${bucket.bucket}/backups?${query.toString()}` });
    expect((await named.store.getBackup(id, call.signal))?.document.id).toBe(id);
  },
);
