import { open, writeFile } from "node:fs/promises";
import { errnoOf } from "@aeon/core";

/** Bytes of a log of a DinD container, and of its end that is kept when it grew beyond. */
const largest = 8 * 1024 ** 2;
const kept = 256 * 1024;

/** Empties a log that is written in append mode when it is too large; its end goes to `<path>.1`. */
export async function boundLog(path: string, limit = largest): Promise<void> {
  try {
    await using file = await open(path, "r+");
    const { size } = await file.stat();
    if (size <= limit) return;
    const end = Buffer.alloc(kept);
    const { bytesRead } = await file.read(end, 0, kept, Math.max(0, size - kept));
    await writeFile(`${path}.1`, end.subarray(0, bytesRead), { mode: 0o600 });
    await file.truncate(0);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}
