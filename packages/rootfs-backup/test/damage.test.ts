import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { AeonError } from "@aeon/core";
import { seeded } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { parseKeyFile } from "../src/archive/encryption-key.ts";
import { layerFormats } from "../src/archive/frame-format.ts";
import { FrameIndex } from "../src/archive/frame-index.ts";
import { packFile, unpackFile, type LayerBlob } from "../src/archive/layer-file.ts";
import { digestOf } from "../src/store/digest.ts";
import { scratch, type Scratch } from "./scratch.ts";

/** Set to repeat a failure that a run printed. */
const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
const runs = Number(process.env["AEON_TEST_RUNS"] ?? 15);
console.log(`damaged layers: seed ${seed}, ${runs} runs of each kind`);

const key = parseKeyFile(Buffer.alloc(32, 7), "test")[0];

interface Sample {
  readonly layer: LayerBlob;
  readonly blob: Buffer;
  readonly frames: readonly Buffer[];
}

/** A layer of several small frames' worth of files; `variant` makes another one. */
async function sample(dir: Scratch, variant: string, encrypted: boolean): Promise<Sample> {
  const source = mkdtempSync(dir.at("upper-"));
  const random = seeded(variant.length);
  const noise = Buffer.from(Uint8Array.from({ length: 300_000 }, () => Math.floor(random() * 256)));
  for (let folder = 0; folder < 12; folder += 1) {
    mkdirSync(`${source}/d${folder}`);
    for (let file = 0; file < 5; file += 1) {
      noise.writeUInt32LE(Math.floor(random() * 2 ** 32), 0);
      writeFileSync(`${source}/d${folder}/f${file}`, noise);
    }
  }
  const target = dir.at(`blob-${variant}`);
  const { layer } = await packFile({
    source,
    target,
    overlay: "trusted",
    level: 1,
    ...(encrypted && { key }),
  });
  const blob = readFileSync(target);
  const formats = layerFormats(layer.cipher, [key]);
  const index = FrameIndex.parse(readFileSync(layerFiles(target).index), formats);
  const frames = Array.from({ length: index.count }, (_, number) => {
    const { offset, size } = index.frame(number);
    return blob.subarray(offset, offset + size);
  });
  return { layer, blob, frames };
}

type Random = () => number;
const below = (random: Random, most: number): number => Math.floor(random() * most);

const damages: Readonly<Record<string, (random: Random, own: Sample, other: Sample) => Buffer>> = {
  "flipped bits": (random, { blob }) => {
    const changed = Buffer.from(blob);
    for (let count = 1 + below(random, 4); count > 0; count -= 1) {
      const at = below(random, blob.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << below(random, 8));
    }
    return changed;
  },
  "a part cut out": (random, { blob }) => {
    const [start, length] = [below(random, blob.length), 1 + below(random, 1000)];
    return Buffer.concat([blob.subarray(0, start), blob.subarray(start + length)]);
  },
  "a cut end": (random, { blob }) => blob.subarray(0, below(random, blob.length)),
  "a part of itself put in": (random, { blob }) => {
    const [at, from] = [below(random, blob.length), below(random, blob.length)];
    return Buffer.concat([blob.subarray(0, at), blob.subarray(from, from + 5000), blob.subarray(at)]);
  },
  "frames in another order": (random, { frames }) => {
    const shuffled = frames.toSorted(() => random() - 0.5);
    const first = frames.findIndex((frame, at) => frame !== shuffled[at]);
    return Buffer.concat(first < 0 ? frames.toReversed() : shuffled);
  },
  "a frame left out or repeated": (random, { frames }) => {
    const at = below(random, frames.length);
    return Buffer.concat(
      frames.flatMap((frame, number) => (number !== at ? [frame] : random() < 0.5 ? [] : [frame, frame])),
    );
  },
  "a frame of another layer": (random, { frames }, other) => {
    const at = below(random, frames.length);
    const foreign = other.frames[below(random, other.frames.length)] ?? Buffer.alloc(0);
    return Buffer.concat(frames.map((frame, number) => (number === at ? foreign : frame)));
  },
};

const kinds = Object.keys(damages).flatMap((kind) => [
  { kind, encrypted: false },
  { kind, encrypted: true },
]);

let shared: Scratch;
const samples = new Map<boolean, { readonly own: Sample; readonly other: Sample }>();

beforeAll(async () => {
  shared = scratch();
  for (const encrypted of [false, true]) {
    const own = await sample(shared, `own-${encrypted}`, encrypted);
    samples.set(encrypted, { own, other: await sample(shared, `other-${encrypted}`, encrypted) });
  }
}, 60_000);
afterAll(() => shared[Symbol.dispose]());

/** Damage that the store's digest would show, and the same with a digest that fits, as a forger would have it. */
test.for(kinds)(
  "$kind: refused, encrypted: $encrypted",
  { timeout: 120_000 },
  async ({ kind, encrypted }) => {
    const { own, other } = samples.get(encrypted) ?? {};
    if (own === undefined || other === undefined) throw new Error("no samples");
    const random = seeded(seed);
    const damage = damages[kind] ?? (() => Buffer.alloc(0));
    const outcomes = new Map<string, number>();
    for (let round = 0; round < runs; round += 1) {
      const bytes = damage(random, own, other);
      writeFileSync(shared.at("damaged"), bytes);
      using place = scratch();
      const isForged = round % 2 === 1;
      const layer = isForged ? { ...own.layer, digest: digestOf(bytes), size: bytes.length } : own.layer;
      const request = { source: shared.at("damaged"), layer, target: place.at("out"), keys: [key] };
      const outcome = await unpackFile({ ...request, overlay: "trusted" }).then(
        () => "accepted",
        (error: unknown) =>
          error instanceof AeonError ? error.reason : `${String(error)} in round ${round}`,
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect([...outcomes.keys()].filter((outcome) => !outcome.startsWith("ARCHIVE_"))).toEqual([]);
  },
);
