import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { snapshotKey, type Mount } from "@aeon/core";
import { openOverlaySnapshotter } from "@aeon/snapshotter";
import * as v from "valibot";
import { expect, test } from "vitest";
import type { Step } from "../src/capture/steps.ts";
import { call, mountAt } from "./node.ts";
import { filesBelow, scratch, shell, type Scratch } from "./scratch.ts";
import { describeTree, difference } from "@aeon/testkit";

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const randomRounds = Number(process.env["AEON_CRASH_ROUNDS"] ?? 8);

const everyStep = [
  "intended",
  "moved",
  "synced",
  "staged",
  "packed",
  "layer-stored",
  "backup-stored",
  "recorded",
  "discarded",
  "unpacked",
  "layer-published",
  "dressed",
  "bound",
  "restored",
] as const satisfies readonly Step[];

/** mulberry32: small, and the same numbers for the same seed. */
function random(state: number): () => number {
  let value = state;
  return () => {
    value = (value + 0x6d2b79f5) | 0;
    let mixed = Math.imul(value ^ (value >>> 15), 1 | value);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Life {
  readonly killed: boolean;
  readonly output: string;
  readonly errors: string;
}

function live(root: string, when: string): Promise<Life> {
  const { promise, resolve, reject } = Promise.withResolvers<Life>();
  const child = spawn(
    process.execPath,
    ["--conditions=@aeon/source", join(import.meta.dirname, "crash-child.ts"), root, when],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let [output, errors] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (output += data.toString()));
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  child.on("error", reject);
  child.on("close", (code, signal) => {
    if (signal === "SIGKILL" || code === 0) resolve({ killed: signal === "SIGKILL", output, errors });
    else reject(new Error(`child ended with ${code}: ${errors}`));
  });
  return promise;
}

const mountsSchema = v.array(
  v.object({ type: v.string(), source: v.string(), target: v.string(), options: v.array(v.string()) }),
);

/** A stopped container with files, and what the next one has to see. */
async function makeContainer(dir: Scratch): Promise<ReadonlyMap<string, string>> {
  const root = dir.at("node/snapshots");
  shell(`mkdir -p ${root}`, "/");
  await using snapshotter = await openOverlaySnapshotter({ root });
  const [mount] = await snapshotter.prepare({ key: snapshotKey("default/1/first"), labels: {} }, call);
  if (mount === undefined) throw new Error("no mount");
  shell(
    "seq 1 20000 > numbers; mkdir -p d/e; ln numbers d/e/hard; ln -s /etc l; mkfifo p; for i in $(seq 200); do echo $i > d/$i; done; chmod 711 .",
    mount.source,
  );
  return describeTree(mount.source);
}

/** Lives that end too early, then a whole one; gives which of the early ones were really cut off. */
async function lifeAndDeath(dir: Scratch, deaths: readonly string[]): Promise<readonly boolean[]> {
  const expected = await makeContainer(dir);
  const killed: boolean[] = [];
  for (const when of deaths) killed.push((await live(dir.at("node"), when)).killed);
  const last = await live(dir.at("node"), "never");
  expect(last.killed).toBe(false);
  const mounts: readonly Mount[] = v.parse(mountsSchema, JSON.parse(last.output));
  await using _ = await mountAt(dir.at("merged"), mounts);
  expect(difference(expected, await describeTree(dir.at("merged")))).toEqual([]);
  expect(readdirSync(dir.at("node/backup/staging"))).toEqual([]);
  expect(filesBelow(dir.at("node/backup/store/tmp"))).toEqual([]);
  expect(readdirSync(dir.at("node/backup/store/refs"))).toHaveLength(1);
  return killed;
}

test.for(everyStep)(
  "nothing is lost or doubled when the agent is killed right after: %s",
  { timeout: 60_000 },
  async (step) => {
    using dir = scratch();
    expect((await lifeAndDeath(dir, [step, step]))[0], "the step was reached").toBe(true);
  },
);

test(
  `nothing is lost or doubled when the agent is killed at random (seed ${seed})`,
  { timeout: 3_600_000 },
  async () => {
    const next = random(seed);
    let kills = 0;
    console.log(`crash rounds: seed ${seed}, ${randomRounds} rounds`);
    for (let round = 0; round < randomRounds; round += 1) {
      using dir = scratch();
      const deaths = Array.from({ length: 1 + Math.floor(next() * 4) }, () =>
        next() < 0.5
          ? String(Math.floor(200 + next() * 1500))
          : (everyStep[Math.floor(next() * everyStep.length)] ?? "moved"),
      );
      const killed = await lifeAndDeath(dir, deaths).catch((error: unknown) => {
        throw new Error(`round ${round} of seed ${seed} with deaths ${deaths.join(", ")}`, { cause: error });
      });
      kills += killed.filter(Boolean).length;
    }
    console.log(`${kills} kills`);
    expect(kills).toBeGreaterThan(0);
  },
);
