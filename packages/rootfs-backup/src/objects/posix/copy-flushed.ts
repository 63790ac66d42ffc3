import { open, unlink, type FileHandle } from "node:fs/promises";
import type { UploadOptions } from "../object-store.ts";

const sliceSize = 1024 * 1024;

/** Copies a file under a new name and waits until its bytes are on disk; what fails leaves nothing. */
export async function copyFlushed(
  from: string,
  to: string,
  { signal, pace, onProgress }: Pick<UploadOptions, "signal" | "pace" | "onProgress">,
): Promise<void> {
  await using source = await open(from, "r");
  await using copy = await open(to, "wx", 0o600);
  try {
    const slice = Buffer.allocUnsafeSlow(sliceSize);
    for (let done = 0; ;) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(slice, 0, sliceSize, done);
      if (bytesRead === 0) break;
      await pace?.(bytesRead, signal);
      await writeAll(copy, slice.subarray(0, bytesRead));
      done += bytesRead;
      onProgress?.(done);
    }
    await copy.sync();
  } catch (error) {
    await unlink(to);
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length;)
    written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
}
