// Measures a store and prints the result as JSON, for `npm run bench -- backup`. Usage: measure-store.ts upload BYTES
// ROUNDS (a bucket against bare requests), or measure-store.ts list BACKUPS (one workload among so many backups).
import { execFileSync } from "node:child_process";
import { copyFileSync, linkSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@aeon/core";
import { temporaryFolder } from "@aeon/testkit";
import { backupStore, posixObjects, type BackupStore } from "../src/index.ts";
import { layout } from "../src/store/layout.ts";
import { draftOf, layerOf, putLayer } from "./make-backup.ts";
import { launchBucket } from "./s3.ts";
import { measureUpload } from "./s3-throughput.ts";

const [what = "", size = "", rounds = "3"] = process.argv.slice(2);
const { signal } = new AbortController();
const lists = 30;
const few = 10;

async function upload(bytes: number, times: number): Promise<object> {
  await using bucket = await launchBucket();
  const timeouts = { connect: 10_000, idle: 60_000, total: 600_000 };
  return await measureUpload(bucket.options({ partSize: 16 << 20, timeouts }), bytes, times);
}

/** A file may have no more names on ext4 than about this. */
const mostLinks = 30_000;

/** Each further backup is a workload of its own; their names are links, which are quicker to make than files. */
function multiply(path: string, from: number, to: number): void {
  const pointer = (id: string): string => join(path, layout.pointer("default", id));
  const workload = (name: string): string => join(path, layout.workload("default", name));
  for (let index = from; index < to; index += 1) {
    const first = Math.max(from, index - (index % mostLinks));
    const isNew = index === first;
    const make = isNew ? copyFileSync : linkSync;
    makeTree(workload(isNew ? "other" : `w-${first}`), workload(`w-${index}`), make);
    make(pointer(isNew ? "other" : `other-${first}`), pointer(`other-${index}`));
  }
  // What is still to be written would be measured otherwise.
  execFileSync("sync", ["--file-system", path]);
}

function makeTree(from: string, to: string, make: (from: string, to: string) => void): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) makeTree(source, target, make);
    else make(source, target);
  }
}

/** Milliseconds, the median. */
async function timeList(store: BackupStore): Promise<number> {
  const chain = { tenant: "default", workload: "own", container: "main" };
  const times: number[] = [];
  for (let count = 0; count < lists; count += 1) {
    const from = performance.now();
    let found = 0;
    for await (const { id } of store.list(chain, signal)) found += id.startsWith("own-") ? 1 : 100;
    times.push(performance.now() - from);
    if (found !== 3) throw new Error(`the list has other backups than the three of the workload: ${found}`);
  }
  return times.toSorted((a, b) => a - b)[lists >> 1] ?? 0;
}

async function list(backups: number): Promise<object> {
  await using folder = await temporaryFolder("list");
  const path = join(folder.path, "store");
  await using store = backupStore({ objects: posixObjects({ path, writer: "node" }), log: silentLogger });
  const layer = layerOf("content", "default", "own-0");
  await putLayer(store, layer, "content");
  for (const id of ["own-0", "own-1", "own-2"])
    await store.putBackup(draftOf(id, [layer], { workload: "own" }), signal);
  await store.putBackup(draftOf("other", [layer], { workload: "other" }), signal);
  multiply(path, 0, few);
  await timeList(store);
  const amongFew = await timeList(store);
  multiply(path, few, backups);
  return { few, amongFew, amongMany: await timeList(store) };
}

const result = what === "upload" ? await upload(Number(size), Number(rounds)) : await list(Number(size));
process.stdout.write(`${JSON.stringify(result)}\n`);
