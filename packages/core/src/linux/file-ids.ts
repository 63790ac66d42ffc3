import { libcFunction } from "./libc.ts";

const setfsuid = libcFunction("int setfsuid(unsigned int id)");
const setfsgid = libcFunction("int setfsgid(unsigned int id)");

/**
 * Runs `work` with another user's ids, and rights, for files: in file systems of another user namespace root itself can
 * make nothing, for it is nobody there. Everything in it has to be synchronous: other threads keep their ids.
 */
export function withFileIdsSync<T>(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  work: () => T,
): T {
  const group = setfsgid.sync("group", gid);
  const user = setfsuid.sync("user", uid);
  try {
    return work();
  } finally {
    setfsuid.sync("user", user);
    setfsgid.sync("group", group);
  }
}
