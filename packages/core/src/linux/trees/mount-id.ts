/** The mount that a descriptor is on, from the text of `/proc/self/fdinfo/<fd>` (proc(5)). */
export function mountIdOf(fdinfo: string): string {
  return /^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1] ?? "";
}

/** What a directory on another mount is refused with: its files belong to somebody else. */
export const foreignMount = (): Error =>
  Object.assign(new Error("something is mounted inside; unmount it first"), { code: "EBUSY" });
