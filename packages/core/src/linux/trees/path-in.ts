const slash = 0x2f;

/**
 * A path to `name` in the open directory `fd` that no renaming or link can lead elsewhere; the name itself may be a
 * link. Throws `EINVAL` unless it is a single component. Needs /proc.
 */
export function pathIn(fd: number, name: Buffer): Buffer {
  const text = name.toString("latin1");
  if (text === "" || text === "." || text === ".." || name.includes(slash) || name.includes(0))
    throw Object.assign(new Error(`EINVAL: ${JSON.stringify(text)} is no name in a directory`), {
      code: "EINVAL",
    });
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}
