import { mkdir, open, readFile, rm } from "node:fs/promises";
import { runProgram } from "../system/run-program.ts";
import type { Places } from "./places.ts";

/**
 * Gives dockerd a file system of its own on the host's disk that cannot grow beyond `bytes`: a sparse image. It has no
 * journal, since it goes with its container and so never has to survive a crash of the node.
 */
export async function mountDataDisk(
  { disk, data }: Places,
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  if (await isMounted(data)) return;
  await mkdir(data, { recursive: true, mode: 0o700 });
  await rm(disk, { force: true });
  const file = await open(disk, "wx", 0o600);
  try {
    await file.truncate(bytes);
  } finally {
    await file.close();
  }
  const fast = ["-E", "lazy_itable_init=1,nodiscard", "-O", "^has_journal", "-m", "0"];
  await runProgram("mkfs.ext4", ["-q", "-F", ...fast, disk], { signal });
  await runProgram("mount", ["-t", "ext4", "-o", "loop", disk, data], { signal });
}

/** Takes it away; the loop device goes with its last mount. */
export async function removeDataDisk({ disk, data }: Places): Promise<void> {
  // Mounts of an earlier start may lie on each other.
  for (let tries = 0; tries < 8 && (await isMounted(data)); tries += 1)
    await runProgram("umount", ["-l", data]);
  await rm(data, { recursive: true, force: true });
  await rm(disk, { force: true });
}

export async function isMounted(path: string): Promise<boolean> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  return table.split("\n").some((line) => line.split(" ")[4] === path.replaceAll(" ", String.raw`\040`));
}
