import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listProcesses, mountsBelow, unmountBelow } from "@aeon/standalone";
import { folderPrefix } from "./abandoned.ts";

/** A folder that goes with its owner; disposing throws when a mount or a process in it was left behind. */
export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes an empty folder with a short path, so that Unix sockets fit. */
export async function temporaryFolder(name = "t"): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), folderPrefix(name)));
  return {
    path,
    async [Symbol.asyncDispose]() {
      const left = await leftBehind(path);
      await unmountBelow(path);
      await rm(path, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left behind in ${path}: ${left.join("; ")}`);
    },
  };
}

/** Mounts below a folder and processes that name it on their command line, each as one line; empty when clean. */
export async function leftBehind(folder: string): Promise<readonly string[]> {
  const processes = (await listProcesses()).filter(
    ({ pid, args }) => pid !== process.pid && args.some((arg) => arg.includes(folder)),
  );
  return [
    ...(await mountsBelow(folder)).map((point) => `mount ${point}`),
    ...processes.map(({ pid, args }) => `process ${pid}: ${args.join(" ")}`),
  ];
}
