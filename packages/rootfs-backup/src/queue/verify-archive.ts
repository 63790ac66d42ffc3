import { open } from "node:fs/promises";
import { errnoOf, linux } from "@aeon/core";
import type { BlobDescriptor, LayerFiles } from "../archive/blob-descriptor.ts";
import type { Packed } from "../worker/job.ts";

/** Bytes read at a time. */
const sliceSize = 4 * 1024 * 1024;

/**
 * Why the files of an archive, which an earlier attempt or process packed, are not what was packed; undefined when
 * every size and digest is right.
 */
export async function damageOf(
  files: LayerFiles,
  { layer }: Packed,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const [path, expected] of [
    [files.index, layer.index],
    [files.toc, layer.toc],
    [files.layer, layer],
  ] as const) {
    const damage = await damageOfFile(path, expected, signal);
    if (damage !== undefined) return damage;
  }
  return undefined;
}

async function damageOfFile(
  path: string,
  { size, digest }: Pick<BlobDescriptor, "size" | "digest">,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    const found = (await file.stat()).size;
    if (found !== size) return `${path} has ${found} bytes instead of ${size}`;
    const sum = new linux.BackgroundSha256();
    const slice = Buffer.allocUnsafeSlow(Math.min(size, sliceSize));
    for (let done = 0; done < size;) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(slice, 0, slice.length, done);
      if (bytesRead === 0) return `${path} ends early`;
      await sum.update(slice.subarray(0, bytesRead));
      done += bytesRead;
    }
    return `sha256:${await sum.digest()}` === digest ? undefined : `the content of ${path} has changed`;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return `${path} is gone`;
    throw error;
  }
}
