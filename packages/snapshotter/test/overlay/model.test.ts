import fc from "fast-check";
import { isAeonError, type SnapshotInfo, type Snapshotter } from "@aeon/core";
import { expect, test } from "vitest";
import { openOverlaySnapshotter } from "../../src/index.ts";
import { callBy, key } from "../support/call.ts";
import { MemorySnapshotter } from "../support/memory-snapshotter.ts";
import { memoryRoot } from "./harness.ts";

const context = callBy();
const name = fc.constantFrom("a", "b", "c", "d", "e").map(key);
const parent = fc
  .option(name, { nil: undefined })
  .map((chosen) => (chosen === undefined ? {} : { parent: chosen }));
const labels = fc.dictionary(fc.constantFrom("x", "y.z"), fc.constantFrom("", "1", "2"));
const paths = fc.array(fc.constantFrom("labels", "labels.x", "labels.y.z", "name", ""), { maxLength: 2 });

type Step = (snapshotter: Snapshotter) => Promise<unknown>;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ key: name, parent, labels }).map(
    ({ parent: base, ...rest }): Step =>
      (snapshotter) =>
        snapshotter.prepare({ ...rest, ...base }, context),
  ),
  fc.record({ key: name, parent, labels }).map(
    ({ parent: base, ...rest }): Step =>
      (snapshotter) =>
        snapshotter.view({ ...rest, ...base }, context),
  ),
  fc.record({ key: name, name, parent, labels }).map(
    ({ parent: base, ...rest }): Step =>
      (snapshotter) =>
        snapshotter.commit({ ...rest, ...base }, context),
  ),
  name.map(
    (chosen): Step =>
      (snapshotter) =>
        snapshotter.remove({ key: chosen }, context),
  ),
  name.map(
    (chosen): Step =>
      (snapshotter) =>
        snapshotter.mounts({ key: chosen }, context),
  ),
  fc.record({ name, labels, paths }).map(
    (request): Step =>
      (snapshotter) =>
        snapshotter.update(request, context),
  ),
  fc.constant<Step>((snapshotter) => snapshotter.cleanup({}, context)),
);

/** What a caller learns: the code of a failure, and the shape of a reply. */
async function outcome(run: Step, snapshotter: Snapshotter): Promise<string> {
  try {
    const reply = await run(snapshotter);
    return Array.isArray(reply) ? `${reply[0]?.type} ${lowers(reply[0]?.options)}` : "done";
  } catch (error) {
    return isAeonError(error) ? error.code : String(error);
  }
}

const lowers = (options: readonly string[] = []): number =>
  options.find((option) => option.startsWith("lowerdir="))?.split(":").length ?? 0;

async function state(snapshotter: Snapshotter) {
  const infos: SnapshotInfo[] = await Array.fromAsync(await snapshotter.list({ filters: [] }, context));
  return infos
    .map(({ name: snapshot, parent: base, kind, labels: own }) => ({
      name: snapshot,
      base,
      kind,
      labels: own,
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

test("any sequence of calls, with restarts between, ends as the model says", async () => {
  const folder = await memoryRoot();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 40, size: "max" }), { maxLength: 3, size: "max" }),
      async (lives) => {
        const root = `${folder}/${++run}`;
        const model = new MemorySnapshotter();
        for (const steps of lives) {
          await using overlay = await openOverlaySnapshotter({ root });
          for (const each of steps) expect(await outcome(each, overlay)).toBe(await outcome(each, model));
          expect(await state(overlay)).toEqual(await state(model));
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("calls at the same time each succeed or fail for a reason, and leave a state that restarts", async () => {
  const folder = await memoryRoot();
  const reasons = ["not-found", "already-exists", "invalid-argument", "failed-precondition"];
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      const root = `${folder}/${++run}`;
      let before;
      {
        await using overlay = await openOverlaySnapshotter({ root });
        const outcomes = await Promise.all(steps.map((each) => outcome(each, overlay)));
        for (const each of outcomes)
          expect([...reasons, "done"]).toContain(each.replace(/^(bind|overlay).*/, "done"));
        before = await state(overlay);
        const names = new Set(before.map((info) => info.name));
        expect(before.filter(({ base }) => base !== undefined && !names.has(base))).toEqual([]);
      }
      await using overlay = await openOverlaySnapshotter({ root });
      expect(await state(overlay)).toEqual(before);
    }),
    { numRuns: 50 },
  );
});
