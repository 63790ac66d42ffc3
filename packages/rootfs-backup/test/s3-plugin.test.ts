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

test("a container's files go on from node to node through a bucket", { timeout: 120_000 }, async () => {
  using dir = scratch();
  const differences: string[][] = [];
  let after: ReadonlyMap<string, string> | undefined;
  let id: string | undefined;
  for (let cycle = 0; cycle < 3; cycle += 1) {
    // Another node knows nothing but the bucket.
    await using node = await startNode({ root: dir.at(`node-${cycle}`), config: { store: store() } });
    const parent = await makeImage(node, dir);
    const name = `container-${cycle}`;
    if (id !== undefined)
      await node.backups.requestRestore(
        { backupId: parseBackupId(id), namespace: space, containerId: containerId(name) },
        call.signal,
      );
    const big = `dd if=/dev/urandom of=big-${cycle} bs=1M count=12 status=none`;
    const ran = await runContainer(node, dir, { id: name, parent, script: `${mess(cycle)}\n${big}` });
    differences.push(after === undefined ? [] : difference(after, ran.before));
    after = ran.after;
    id = await removeContainer(node, ran);
    expect(readdirSync(dir.at(`node-${cycle}/backup/staging`))).toEqual([]);
    expect(filesBelow(dir.at(`node-${cycle}/backup/spool`))).toEqual([]);
  }
  expect(differences).toEqual([[], [], []]);
});

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
