import { rmdir } from "node:fs/promises";
import { errnoOf } from "@aeon/core";

/** Deletes a snapshot directory that nothing was written to, in the fewest calls; false if there is more in it. */
export async function removeEmptySnapshot(directory: string): Promise<boolean> {
  return (
    (await removeDirectory(`${directory}/fs`)) &&
    ((await removeDirectory(`${directory}/work`)) ||
      ((await removeDirectory(`${directory}/work/work`)) && (await removeDirectory(`${directory}/work`)))) &&
    (await removeDirectory(directory))
  );
}

const removeDirectory = (path: string): Promise<boolean> =>
  rmdir(path).then(
    () => true,
    (error: unknown) => errnoOf(error) === "ENOENT",
  );
