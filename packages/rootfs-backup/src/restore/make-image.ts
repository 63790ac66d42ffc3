import { execFileSync } from "node:child_process";
import { closeSync, constants, fsyncSync, openSync, statSync } from "node:fs";
import { errnoOf, errorMessage } from "@aeon/core";
import { LayerStack } from "../archive/layer-stack.ts";
import { kindOf } from "../archive/upper-entry.ts";
import { errors } from "../errors.ts";

export interface ImageRequest {
  /** The folder that becomes the root of the image. */
  readonly source: string;
  /** The image's file; must not exist. */
  readonly target: string;
  /** mkfs.erofs, by path or by name. */
  readonly program: string;
}

/** Bytes of holes that an image may hold as zeros: its files have no holes. */
const mostHoles = 256 * 1024 * 1024;

/** Makes an EROFS image of a folder and flushes it to disk. Throws `EROFS_UNUSABLE`. */
export function makeImage({ source, target, program }: ImageRequest): number {
  const holes = holesIn(source);
  if (holes > mostHoles)
    throw errors.EROFS_UNUSABLE(`${source} has ${holes} bytes of holes, which an image would hold as zeros`);
  try {
    execFileSync(program, ["-x1", "--quiet", target, source], { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const cause = errnoOf(error) === "ENOENT" ? `${program} is not installed` : errorMessage(error);
    throw errors.EROFS_UNUSABLE(`cannot make an image of ${source}: ${cause}`, { cause: error });
  }
  const fd = openSync(target, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return statSync(target).size;
}

function holesIn(folder: string): number {
  using stack = new LayerStack([{ path: folder, format: { overlay: "trusted" } }]);
  let holes = 0;
  const visit = (): void => {
    for (const text of stack.names()) {
      const name = Buffer.from(text, "latin1");
      const found = stack.find(name);
      if (typeof found === "string") continue;
      const kind = kindOf(found.status);
      if (kind === "file") holes += Math.max(0, found.status.size - found.status.blocks * 512);
      if (kind !== "directory") continue;
      stack.enter(name, found.at, name);
      visit();
      stack.leave();
    }
  };
  visit();
  return holes;
}
