import { pbkdf2, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { describeTree, difference } from "@aeon/testkit";
import { expect, test } from "vitest";
import { extractLayer } from "../src/archive/extract.ts";
import { readFrames } from "../src/archive/frame-reader.ts";
import { packFile } from "../src/archive/layer-file.ts";
import { scratch } from "./scratch.ts";

const work = promisify(pbkdf2);

/** As the reader of frames does: what was two chunks ago is overwritten. */
async function* inTwoMemories(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void> {
  const memories = [Buffer.alloc(4 << 20), Buffer.alloc(4 << 20)];
  for (const [number, chunk] of chunks.entries()) {
    const memory = memories[number % memories.length] ?? chunk;
    chunk.copy(memory);
    yield memory.subarray(0, chunk.length);
  }
}

test("files are written before the memory of their bytes is used again, however busy other threads are", async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper"));
  mkdirSync(dir.at("lower"));
  for (let number = 0; number < 8; number += 1)
    writeFileSync(dir.at("upper", `f${number}`), randomBytes(3_000_000));
  const { layer } = await packFile({
    source: dir.at("upper"),
    target: dir.at("blob"),
    overlay: "trusted",
    level: 1,
  });
  const fd = openSync(dir.at("blob"), "r");
  const chunks = await Array.fromAsync(readFrames(fd, layer));
  closeSync(fd);
  // Every thread of libuv's pool has something to do first.
  const busy = Array.from({ length: 16 }, () => work("a", "b", 100_000, 32, "sha256"));
  await extractLayer(inTwoMemories(chunks), dir.at("lower"), {
    overlay: "trusted",
    mostEntries: layer.entries,
  });
  await Promise.all(busy);
  const [before, after] = [await describeTree(dir.at("upper")), await describeTree(dir.at("lower"))];
  expect(difference(before, after)).toEqual([]);
});
