import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { errorMessage, isAeonError } from "@aeon/core";
import { Chooser } from "./choose.ts";
import { KeyLocks } from "./key-locks.ts";
import { expectedOf, touches, type Changes, type Entry, type Expected, type Operation } from "./model.ts";
import type { Random } from "./random.ts";
import { directoryNumber, upperDirectory, type Listed, type SnapshotClient } from "./snapshot-client.ts";

const marker = "made-by-the-test";

interface Uncertain {
  readonly operation: Operation;
  readonly expected: Expected;
}

/** Random operations against a snapshotter that may die at any time, and the checks of what has to be left of it. */
export class CrashRun {
  /** Sentences about promises that were broken. */
  readonly problems: string[] = [];
  acknowledged = 0;
  interrupted = 0;
  readonly #directories: string;
  readonly #chooser: Chooser;
  readonly #snapshots = new Map<string, Entry>();
  readonly #usedIds = new Set<number>();
  #uncertain: Uncertain[] = [];

  constructor(root: string, random: Random) {
    this.#directories = join(root, "snapshots");
    this.#chooser = new Chooser(random);
  }

  get size(): number {
    return this.#snapshots.size;
  }

  /** Keeps several operations running until `dead` or until as many were started as `limit` says. */
  async work(client: SnapshotClient, workers: number, limit: number, dead: AbortSignal): Promise<void> {
    const locks = new KeyLocks();
    let started = 0;
    const worker = async (): Promise<void> => {
      while (!dead.aborted && started < limit) {
        const operation = this.#chooser.next(this.#snapshots);
        const { writes, reads } = touches(this.#snapshots, operation);
        const release = locks.tryTake(writes, reads);
        if (release === undefined) {
          await turn();
          continue;
        }
        started++;
        // What was interrupted keeps its keys: nobody knows their state until the next start.
        if (await this.#perform(client, operation, dead)) release();
      }
    };
    await Promise.all(Array.from({ length: workers }, worker));
  }

  /** Compares a server that was just started with everything it ever promised. */
  async verify(client: SnapshotClient): Promise<void> {
    const listed = await client.list();
    for (const { operation, expected } of this.#uncertain)
      await this.#settle(client, operation, expected, listed);
    this.#uncertain = [];
    for (const [key, entry] of this.#snapshots)
      if (!same(entry, listed.get(key)))
        this.#problem(`${key} was promised as ${show(entry)} and is ${show(listed.get(key))}`);
    for (const [key, found] of listed)
      if (!this.#snapshots.has(key)) this.#problem(`${key} is there as ${show(found)} and nobody made it`);
    await client.cleanup();
    this.#checkDirectories();
  }

  /** False when the server died before it answered. */
  async #perform(client: SnapshotClient, operation: Operation, dead: AbortSignal): Promise<boolean> {
    const expected = expectedOf(this.#snapshots, operation);
    try {
      const mounts = await client.run(operation);
      this.acknowledged++;
      if (!expected.ok) this.#problem(`${show(operation)} succeeded, expected ${expected.code}`);
      else this.#apply(expected.changes);
      if (operation.do === "prepare") this.#mark(operation.key, upperDirectory(mounts));
      return true;
    } catch (error) {
      if (!expected.ok && isAeonError(error, expected.code)) return true;
      if (dead.aborted) {
        this.interrupted++;
        this.#uncertain.push({ operation, expected });
        return false;
      }
      this.#problem(
        `${show(operation)} failed with ${errorMessage(error)}, expected ${expected.ok ? "success" : expected.code}`,
      );
      return true;
    }
  }

  /** An interrupted operation has happened as a whole or not at all. */
  async #settle(
    client: SnapshotClient,
    operation: Operation,
    expected: Expected,
    listed: ReadonlyMap<string, Listed>,
  ): Promise<void> {
    if (!expected.ok) return;
    const changes = [...expected.changes];
    const done = changes.every(([key, entry]) => same(entry, listed.get(key)));
    const undone = changes.every(([key]) => same(this.#snapshots.get(key), listed.get(key)));
    if (done) this.#apply(expected.changes);
    else if (!undone)
      this.#problem(
        `${show(operation)} was interrupted and left ${show(changes.map(([key]) => [key, listed.get(key)]))}`,
      );
    if (done && operation.do === "prepare")
      this.#mark(operation.key, upperDirectory(await client.mounts(operation.key)));
  }

  #apply(changes: Changes): void {
    for (const [key, entry] of changes) {
      if (entry) this.#snapshots.set(key, entry);
      else this.#snapshots.delete(key);
    }
  }

  /** Leaves a file in a new active snapshot, by which its directory is known again. */
  #mark(key: string, upper: string): void {
    const id = directoryNumber(upper);
    if (this.#usedIds.has(id)) this.#problem(`directory ${id} is used again, for ${key}`);
    this.#usedIds.add(id);
    const entry = this.#snapshots.get(key);
    if (entry) this.#snapshots.set(key, { ...entry, id });
    writeFileSync(join(upper, marker), String(id), { flag: "wx" });
  }

  #checkDirectories(): void {
    const present = readdirSync(this.#directories);
    if (present.length !== this.#snapshots.size)
      this.#problem(
        `${present.length} directories for ${this.#snapshots.size} snapshots: ${present.join(" ")}`,
      );
    for (const [key, { id }] of this.#snapshots) {
      if (id !== undefined && this.#markOf(id) !== String(id))
        this.#problem(`the files of ${key} in ${id} are lost`);
    }
  }

  #markOf(id: number): string | undefined {
    try {
      return readFileSync(join(this.#directories, String(id), "fs", marker), "utf8");
    } catch {
      return undefined;
    }
  }

  #problem(sentence: string): void {
    this.problems.push(sentence);
  }
}

function same(entry: Entry | undefined, found: Listed | undefined): boolean {
  if (entry === undefined || found === undefined) return entry === found;
  return (
    entry.kind === found.kind && entry.parent === found.parent && show(entry.labels) === show(found.labels)
  );
}

const show = (value: unknown): string => JSON.stringify(value) ?? "absent";
