import { readdirSync } from "node:fs";
import { snapshotKey, type Mount } from "@aeon/core";
import { openOverlaySnapshotter } from "@aeon/snapshotter";
import { describeTree, difference } from "@aeon/testkit";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allSteps, type Step } from "../src/capture/steps.ts";
import { bundlePrograms, type Programs } from "./crash/bundle.ts";
import { live } from "./crash/live.ts";
import { manyLives, type Story } from "./crash/many-lives.ts";
import { call, mountAt } from "./node.ts";
import { filesBelow, scratch, shell, type Scratch } from "./scratch.ts";

const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const rounds = Number(process.env["AEON_CRASH_ROUNDS"] ?? 300);
const livesPerNode = 25;
/** Nodes that live at the same time. */
const atOnce = 2;

let programs: Programs;
beforeAll(async () => {
  programs = await bundlePrograms();
});
afterAll(() => programs[Symbol.dispose]());

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

/** Live backups stop running tasks, of which these nodes have none. */
const ofTasks: ReadonlySet<Step> = new Set(["freezing", "frozen", "thawed"]);
const stepsHere = allSteps.filter((step) => !ofTasks.has(step));
/** Only a container that is replaced in its pod settles a layer. */
const stepsOfOneRestore = stepsHere.filter((step) => step !== "settled");

test.for(stepsOfOneRestore)(
  "one restore: nothing is lost or doubled when the agent is killed right after: %s",
  { timeout: 60_000 },
  async (step) => {
    using dir = scratch();
    const expected = await makeContainer(dir);
    const liveUntil = (when: Step | "never") =>
      live({
        program: programs.path("one-restore"),
        args: [dir.at("node"), when, programs.path("worker")],
      });
    expect((await liveUntil(step)).killed, "the step was reached").toBe(true);
    await liveUntil(step);
    const last = await liveUntil("never");
    expect(last.killed).toBe(false);
    const mounts: readonly Mount[] = v.parse(mountsSchema, JSON.parse(last.output));
    await using _ = await mountAt(dir.at("merged"), mounts);
    expect(difference(expected, await describeTree(dir.at("merged")))).toEqual([]);
    expect(readdirSync(dir.at("node/backup/staging"))).toEqual([]);
    expect(filesBelow(dir.at("node/backup/store/tmp"))).toEqual([]);
    expect(
      filesBelow(dir.at("node/backup/store/t/default/w")).filter((name) => name.includes("/refs/")),
    ).toHaveLength(1);
  },
);

test(
  `containers that come and go lose nothing in ${rounds} kills (seed ${seed})`,
  { timeout: 3_600_000 },
  async () => {
    const stories: Story[] = [];
    let number = 0;
    let kills = 0;
    const tellStories = async (): Promise<void> => {
      while (kills < rounds) {
        const own = seed + (number += 1);
        const story = await manyLives(programs, own, { lives: livesPerNode, steps: stepsHere }).catch(
          (error: unknown) => {
            throw new Error(`node with seed ${own}`, { cause: error });
          },
        );
        expect(story.problems, `AEON_TEST_SEED=${own - 1} AEON_CRASH_ROUNDS=1`).toEqual([]);
        stories.push(story);
        kills += story.kills;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, tellStories));
    const sum = (of: (story: Story) => number) => stories.reduce((total, story) => total + of(story), 0);
    const killedAt = Object.fromEntries(
      stepsHere.map((step) => [step, sum((story) => story.killedAt.get(step) ?? 0)]),
    );
    console.log(
      `seed ${seed}: ${kills} kills of ${stories.length} nodes, ${sum(({ containers }) => containers)} containers, ` +
        `${sum(({ checked }) => checked)} backups restored and compared; kills by step`,
      killedAt,
    );
    expect(sum(({ checked }) => checked)).toBeGreaterThan(kills / 5);
    // Few kills may miss a step by chance.
    const missed = stepsHere.filter((step) => rounds >= 300 && killedAt[step] === 0);
    expect(missed).toEqual([]);
  },
);
