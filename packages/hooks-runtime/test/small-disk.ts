import { execFileSync } from "node:child_process";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { unmountBelow } from "@aeon/standalone";

/** What statfs says of a tmpfs. */
const tmpfs = 0x01021994;

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Leaves so many bytes free. */
  fill(free: number): Promise<void>;
  free(): Promise<void>;
  readOnly(): void;
}

/** Mounts a file system in memory at a folder. */
export async function smallDisk(path: string, size: string): Promise<SmallDisk> {
  await mkdir(path, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  return {
    path,
    async fill(free: number): Promise<void> {
      const { bavail, bsize, type } = await statfs(path);
      // Never the machine's own disk.
      if (type !== tmpfs) throw new Error(`${path} is no small disk`);
      await writeFile(join(path, "ballast"), Buffer.alloc(bavail * bsize - free));
    },
    free: () => rm(join(path, "ballast")),
    readOnly: () => void execFileSync("mount", ["-o", "remount,ro", path]),
    [Symbol.asyncDispose]: async () => void (await unmountBelow(path)),
  };
}
