import { constants } from "node:fs";
import { copyFile, link, open } from "node:fs/promises";
import { errnoOf } from "@aeon/core";

/** Gives a durable file another name, on another file system as a durable copy. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (errnoOf(error) !== "EXDEV") throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await using file = await open(to, "r+");
    await file.sync();
  }
}
