import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { FrameIndex } from "../src/archive/frame-index.ts";
import { packFile, unpackFile } from "../src/archive/layer-file.ts";
import { readContent } from "../src/archive/read-content.ts";
import { readToc } from "../src/archive/toc-reader.ts";
import { scratch } from "./scratch.ts";

/** Set to repeat a failure that a run printed. */
const seed = Number(process.env["AEON_TEST_SEED"] ?? Date.now() % 2 ** 31);
console.log(`changing tree: seed ${seed}`);

/** A process that keeps changing the folder. */
async function writer(folder: string): Promise<AsyncDisposable> {
  const program = join(import.meta.dirname, "tree-changer.ts");
  const child = spawn(process.execPath, ["--conditions=@aeon/source", program, folder, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

test(
  "a tree that changes all the time packs to whole archives that tell what was torn",
  { timeout: 120_000 },
  async () => {
    using dir = scratch();
    mkdirSync(dir.at("upper"));
    const seen = { retried: 0, torn: 0, entries: 0 };
    {
      await using _ = await writer(dir.at("upper"));
      for (let round = 0; round < 8; round += 1) {
        const [target, out] = [dir.at(`blob-${round}`), dir.at(`out-${round}`)];
        const request = { source: dir.at("upper"), target, overlay: "trusted", level: 1 } as const;
        const { layer, report } = await packFile(request);
        // Every size, count and digest agrees, whatever the files did meanwhile.
        await unpackFile({ source: target, layer, target: out, overlay: "trusted" });
        const files = layerFiles(target);
        const bytes = readFileSync(files.layer);
        const index = FrameIndex.parse(readFileSync(files.index));
        const source = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
        for await (const entry of readToc(files.toc, layer.toc)) {
          const content = Buffer.concat(await Array.fromAsync(readContent(source, index, entry)));
          seen.entries += content.length === entry.size ? 1 : 0;
        }
        seen.retried += report.retried;
        seen.torn += report.torn;
        expect(report.torn).toBe(report.deviations.filter(({ kind }) => kind === "torn").length);
      }
    }
    console.log("changing tree:", seen);
    expect(seen.entries).toBeGreaterThan(30);
    expect(seen.torn + seen.retried).toBeGreaterThan(0);
  },
);
