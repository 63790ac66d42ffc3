import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { temporaryFolder } from "@aeon/testkit";

/** An empty folder to measure in, on a file system that the rows of the result name. */
export interface MeasuredFolder extends AsyncDisposable {
  readonly path: string;
  readonly name: string;
}

const usualImageBytes = 4 * 2 ** 30;

/** A folder on the machine's own file system, whatever its state is. */
export async function ownFolder(): Promise<MeasuredFolder> {
  const folder = await temporaryFolder("bench");
  const { stdout } = await run("findmnt", ["--noheadings", "--output", "FSTYPE", "--target", folder.path]);
  return {
    path: folder.path,
    name: `machine's ${stdout.trim()}`,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/**
 * A folder on a fresh ext4 with a journal, as nodes have it, in an image file. The machine's own may lack the
 * journal, and then making directories gets slower with every file that was deleted in the last minutes. The image
 * takes the disk space that is used in it.
 */
export async function journaledFolder(imageBytes = usualImageBytes): Promise<MeasuredFolder> {
  await using stack = new AsyncDisposableStack();
  const { path: outer } = stack.use(await temporaryFolder("bench"));
  const image = join(outer, "image");
  const path = join(outer, "m");
  const file = await open(image, "w");
  await file.truncate(imageBytes);
  await file.close();
  await mkdir(path);
  await run("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image]);
  await run("mount", ["-o", "loop", image, path]);
  stack.defer(async () => {
    await run("umount", [path]);
  });
  const owned = stack.move();
  return { path, name: "fresh journaling ext4", [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
