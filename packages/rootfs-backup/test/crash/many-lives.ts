import { mkdirSync } from "node:fs";
import { errnoOf } from "@aeon/core";
import { seeded } from "@aeon/testkit";
import type { Step } from "../../src/capture/steps.ts";
import { scratch, unmountFreed } from "../scratch.ts";
import type { Programs } from "./bundle.ts";
import { live, type Life } from "./live.ts";
import type { Known, Task, Told } from "./world.ts";

const operationsPerLife = 14;
const longestLifeMs = 700;

/** What a node went through. */
export interface Story {
  readonly problems: readonly string[];
  readonly kills: number;
  /** Kills right after a step. */
  readonly killedAt: ReadonlyMap<Step, number>;
  readonly containers: number;
  /** Backups that were restored at the end and held the right files. */
  readonly checked: number;
}

/** Lets a node live several times, killed each time at a step or at random, and once more to the end. */
export async function manyLives(
  programs: Programs,
  seed: number,
  { lives, steps }: { readonly lives: number; readonly steps: readonly Step[] },
): Promise<Story> {
  using dir = scratch();
  mkdirSync(dir.at("trees"));
  const random = seeded(seed);
  const world = new Map<string, Known>();
  const problems: string[] = [];
  const killedAt = new Map<Step, number>();
  let [kills, checked] = [0, 0];
  for (let number = 0; number <= lives; number += 1) {
    const isLast = number === lives;
    const step = steps[Math.floor(random() * steps.length)] ?? "moved";
    const atStep = !isLast && random() < 0.7;
    const task: Task = {
      root: dir.path,
      seed: Math.floor(random() * 2 ** 32),
      life: number,
      containers: [...world.values()],
      worker: programs.path("worker"),
      ...(atStep && { kill: { step, time: 1 + Math.floor(random() * 3) } }),
      operations: isLast ? "check" : operationsPerLife,
    };
    const killAfterMs = isLast || atStep ? undefined : random() * longestLifeMs;
    const life = await liveOnce(programs.path("many-containers"), task, killAfterMs);
    for (const told of parse(life.output)) {
      if ("problem" in told) problems.push(`life ${number}: ${told.problem}`);
      if ("container" in told) world.set(told.container.id, told.container);
      if ("checked" in told) checked = told.checked;
    }
    if (life.killed) kills += 1;
    if (life.killed && atStep) killedAt.set(step, (killedAt.get(step) ?? 0) + 1);
  }
  return { problems, kills, killedAt, containers: world.size, checked };
}

async function liveOnce(program: string, task: Task, killAfterMs: number | undefined): Promise<Life> {
  try {
    return await live({ program, input: JSON.stringify(task), killAfterMs });
  } finally {
    await unmountAll(task.root);
  }
}

const parse = (output: string): readonly Told[] =>
  output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Told);

/** A killed node leaves what it mounted. */
async function unmountAll(root: string): Promise<void> {
  for (const lane of [0, 1])
    for (let isMounted = true; isMounted;)
      isMounted = await unmountFreed(`${root}/mount-${lane}`).then(
        () => true,
        (error: unknown) => {
          if (["EINVAL", "ENOENT"].includes(errnoOf(error) ?? "")) return false;
          throw error;
        },
      );
}
