import { constants } from "node:fs";
import { lstat, open, opendir, readFile, rmdir, unlink } from "node:fs/promises";
import { errnoOf } from "@aeon/core";
import { foreignMount, LinkedFiles, mountIdOf, type Measured } from "@aeon/core/trees";

/** Entries up to which a tree is handled here, so that small containers need no thread of their own. */
export const smallTreeEntries = 500;

/** Directories inside one another, each of which holds a descriptor meanwhile. */
const maxDepth = 32;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const blockSize = 512;
const vanished = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

interface Visitor {
  /** What to do with a directory on another mount. */
  readonly otherMounts: "skip" | "refuse";
  /** The path cannot be led elsewhere: it starts at an open directory. */
  entry(path: Buffer, isDirectory: boolean): Promise<void>;
  leave(path: Buffer): Promise<void>;
}

/** Thrown to leave a tree that turns out to be large. */
class LargeTree extends Error {}

/** Measures a tree as `measureTree` does; undefined when it is large. */
export async function measureSmallTree(root: string): Promise<Measured | undefined> {
  const linked = new LinkedFiles();
  let blocks = 0;
  let inodes = 0;
  const count = async (path: string | Buffer): Promise<void> => {
    const stats = await ignoreMissing(lstat(path));
    if (stats === undefined || !linked.isFirst(path, stats)) return;
    blocks += stats.blocks;
    inodes += 1;
  };
  await count(root);
  const done = await walkSmallTree(root, { otherMounts: "skip", entry: count, leave: async () => {} });
  return done ? { size: blocks * blockSize, inodes } : undefined;
}

/** Deletes a tree as `removeTree` does; false when that is left to do, and then some of it may be gone. */
export async function removeSmallTree(root: string): Promise<boolean> {
  try {
    return await removeWalking(root);
  } catch {
    // The thread tries longer, and says what is wrong.
    return false;
  }
}

async function removeWalking(root: string): Promise<boolean> {
  const done = await walkSmallTree(root, {
    otherMounts: "refuse",
    entry: async (path, isDirectory) => {
      if (!isDirectory) await ignoreMissing(unlink(path));
    },
    leave: async (path) => {
      await ignoreMissing(rmdir(path));
    },
  });
  if (done) await ignoreMissing(rmdir(root));
  return done;
}

async function walkSmallTree(root: string, visitor: Visitor): Promise<boolean> {
  try {
    await new SmallWalk(visitor).enter(Buffer.from(root), 0);
    return true;
  } catch (error) {
    if (error instanceof LargeTree) return false;
    throw error;
  }
}

class SmallWalk {
  readonly #visitor: Visitor;
  #left = smallTreeEntries;
  #mount: string | undefined;

  constructor(visitor: Visitor) {
    this.#visitor = visitor;
  }

  async enter(path: Buffer, depth: number): Promise<void> {
    if (depth > maxDepth) throw new LargeTree();
    const handle = await ignoreMissing(open(path, directoryFlags));
    if (handle === undefined) return;
    try {
      if (await this.#isOtherMount(handle.fd)) {
        if (this.#visitor.otherMounts === "refuse") throw foreignMount();
        return;
      }
      await this.#entries(Buffer.from(`/proc/self/fd/${handle.fd}/`), depth);
    } finally {
      await handle.close();
    }
  }

  async #entries(folder: Buffer, depth: number): Promise<void> {
    // Latin-1 keeps every byte of a name.
    for await (const entry of await opendir(folder.toString(), { encoding: "latin1" })) {
      if (--this.#left < 0) throw new LargeTree();
      const path = Buffer.concat([folder, Buffer.from(entry.name, "latin1")]);
      await this.#visitor.entry(path, entry.isDirectory());
      if (!entry.isDirectory()) continue;
      await this.enter(path, depth + 1);
      await this.#visitor.leave(path);
    }
  }

  async #isOtherMount(fd: number): Promise<boolean> {
    const mount = mountIdOf(await readFile(`/proc/self/fdinfo/${fd}`, "utf8"));
    return mount !== (this.#mount ??= mount);
  }
}

/** Undefined for what a running container has just removed or replaced. */
async function ignoreMissing<T>(step: Promise<T>): Promise<T | undefined> {
  try {
    return await step;
  } catch (error) {
    if (vanished.has(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
