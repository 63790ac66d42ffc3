import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../error-codes.ts";
import { errorMessage } from "../error.ts";
import { errors } from "../errors.ts";
import { lockFileSync, syncFileSystem } from "./file-system.ts";
import { mount, unmount } from "./mount.ts";
import { openBeneathSync, openFlags } from "./open.ts";
import { descriptorPath } from "./path.ts";
import { renameExchange, renameNoReplace } from "./rename.ts";
import { sendDatagramSync } from "./socket.ts";
import { nextHole, punch } from "./sparse.ts";
import { makeFifoSync } from "./special-file.ts";
import { setTimesSync } from "./times.ts";
import { getXattr, listXattrsSync, removeXattrSync, setXattrSync } from "./xattr.ts";

/**
 * Checks that libc can be called and that each call does what aeon relies on, in a temporary folder inside
 * `folder` (aeon's root: file systems differ). Throws `LINUX_CALL_UNUSABLE` naming the first call that fails.
 */
export async function linuxSelfTest(folder: string): Promise<void> {
  const place = await step("mkdtemp", () => mkdtempSync(join(folder, ".self-test-")));
  try {
    for (const [call, check] of Object.entries(checks)) await step(call, () => check(place));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function step<T>(call: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw errors.LINUX_CALL_UNUSABLE(`Linux call ${call} does not work here: ${errorMessage(error)}`, {
      cause: error,
      details: { call },
    });
  }
}

/** By the call's name; each gets a folder that is shared and thrown away. */
const checks: Readonly<Record<string, (folder: string) => void | Promise<void>>> = {
  "xattr calls": async (folder) => {
    const file = newFile(folder, "xattr");
    const value = Buffer.from([0, 1, 255]);
    // Overlay's own attributes are in trusted.*, which only root sees.
    const name = process.getuid?.() === 0 ? "trusted.aeon.test" : "user.aeon.test";
    setXattrSync(file, name, value);
    expect(
      listXattrsSync(file).some((found) => found.toString() === name),
      "the name is not listed",
    );
    expect((await getXattr(file, name))?.equals(value) === true, "another value came back");
    removeXattrSync(file, name);
    expect((await getXattr(file, name)) === undefined, "the attribute is still there");
  },
  mknod: (folder) => {
    const path = join(folder, "fifo");
    makeFifoSync(path, 0o600);
    expect(statSync(path).isFIFO(), "the file is no pipe");
  },
  utimensat: (folder) => {
    const file = newFile(folder, "times");
    setTimesSync(file, { modified: 1_234_567_891_123_456_789n });
    const seconds = statSync(file, { bigint: true }).mtimeNs / 1_000_000_000n;
    expect(seconds === 1_234_567_891n, "another time came back");
  },
  renameat2: async (folder) => {
    const [a, b] = [newFile(folder, "a"), newFile(folder, "b")];
    const before = statSync(a).ino;
    await expectErrno("EEXIST", () => renameNoReplace(a, b));
    await renameExchange(a, b);
    expect(statSync(b).ino === before, "the files were not swapped");
  },
  openat2: (folder) =>
    withFile(folder, constants.O_DIRECTORY, async (directory) => {
      closeSync(openBeneathSync({ directory, path: ".", flags: openFlags.path }));
      await expectErrno("EXDEV", () => openBeneathSync({ directory, path: "..", flags: openFlags.path }));
    }),
  "/proc/self/fd": (folder) =>
    withFile(folder, constants.O_DIRECTORY, (directory) => {
      expect(statSync(descriptorPath(directory)).ino === statSync(folder).ino, "/proc shows another file");
    }),
  lseek: (folder) =>
    withFile(newFile(folder, "sparse"), constants.O_RDWR, async (fd) => {
      writeSync(fd, Buffer.alloc(8192, 1));
      await punch(fd, 0, 4096);
      expect((await nextHole(fd, 0)) === 0, "the hole is not found");
    }),
  // Flushing a busy file system takes long, so only that the call is there.
  syncfs: () => expectErrno("EBADF", () => syncFileSystem(-1)),
  flock: (folder) =>
    withFile(folder, constants.O_DIRECTORY, async (fd) => {
      lockFileSync(fd, "exclusive");
      await withFile(folder, constants.O_DIRECTORY, (other) =>
        expectErrno("EAGAIN", () => lockFileSync(other, "exclusive")),
      );
    }),
  mount: (folder) =>
    expectErrno(["ENODEV", "EPERM"], () =>
      mount({ source: "none", target: folder, type: "aeon-no-such-type", flags: 0, data: "" }),
    ),
  umount2: (folder) => expectErrno(["EINVAL", "EPERM"], () => unmount(folder)),
  sendto: (folder) => expectErrno("ENOENT", () => sendDatagramSync(join(folder, "absent"), "x")),
};

function newFile(folder: string, name: string): string {
  const path = join(folder, name);
  writeFileSync(path, "");
  return path;
}

async function withFile(
  path: string,
  flags: number,
  work: (fd: number) => void | Promise<void>,
): Promise<void> {
  const fd = openSync(path, flags);
  try {
    await work(fd);
  } finally {
    closeSync(fd);
  }
}

function expect(fact: boolean, otherwise: string): void {
  if (!fact) throw new Error(otherwise);
}

async function expectErrno(wanted: string | readonly string[], work: () => unknown): Promise<void> {
  let errno: string | undefined;
  try {
    await work();
  } catch (error) {
    errno = errnoOf(error);
    if (errno === undefined) throw error;
  }
  if (errno === undefined || !wanted.includes(errno))
    throw new Error(
      `it ${errno === undefined ? "succeeded" : `failed with ${errno}`} instead of ${String(wanted)}`,
    );
}
