import { closeSync, constants, existsSync, openSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { errnoOf, linux } from "@aeon/core";
import { mappedRoot, readUserNamespace, type MainUserNamespace } from "./user-namespace.ts";

/** What of a main container's process shapes its DinD container. */
export interface MainProcess {
  readonly pid: number;
  /** With the pid it names the process for good: clock ticks since boot. */
  readonly startTime: string;
  /** Path of its cgroup, as the host sees it. */
  readonly cgroup: string;
  readonly resolver: string | undefined;
  readonly hosts: string | undefined;
  readonly hostname: string;
  /** Host ids of its root user. */
  readonly uid: number;
  readonly gid: number;
  readonly userNamespace: MainUserNamespace;
}

/** Start time of a process; undefined when it is gone. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // A dead process whose parent has not looked yet is gone for us.
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export const isAlive = (pid: number, startTime: string): boolean => startTimeOf(pid) === startTime;

/** Reads what is needed; undefined when the process has ended meanwhile. */
export async function readMainProcess(pid: number): Promise<MainProcess | undefined> {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) return undefined;
  try {
    const root = openSync(`/proc/${pid}/root`, linux.openFlags.path);
    try {
      const userNamespace = readUserNamespace(pid);
      return {
        pid,
        startTime,
        cgroup: cgroupOf(await readFile(`/proc/${pid}/cgroup`, "utf8"), isUnified()),
        resolver: readInside(root, "etc/resolv.conf"),
        hosts: readInside(root, "etc/hosts"),
        hostname: readInside(root, "etc/hostname")?.trim() || "docker",
        uid: mappedRoot(userNamespace.uids),
        gid: mappedRoot(userNamespace.gids),
        userNamespace,
      };
    } finally {
      closeSync(root);
    }
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ESRCH") return undefined;
    throw error;
  }
}

/** Whether container runtimes here use cgroup v2: they look at what is mounted, not at what the kernel has besides. */
const isUnified = (): boolean => existsSync("/sys/fs/cgroup/cgroup.controllers");

/** On cgroup v1 the path below the memory controller counts, whose limits matter most; else the one of cgroup v2. */
function cgroupOf(text: string, unified: boolean): string {
  const groups = linux.controlGroupsIn(text);
  const memory = groups.find(({ controllers }) => controllers.includes("memory"));
  const ofTwo = groups.find(({ controllers }) => controllers.length === 0);
  return (unified ? undefined : memory?.path) ?? ofTwo?.path ?? "/";
}

/** Bytes of a resolver or hosts file that are read; the container may have made it anything. */
const largestFile = 65_536;

/** A small regular file below M's root, links resolved inside it. */
function readInside(root: number, path: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = linux.openBeneathSync({
      directory: root,
      path,
      flags: constants.O_RDONLY | constants.O_NONBLOCK,
      resolve: linux.resolveFlags.inRoot | linux.resolveFlags.noMagicLinks,
    });
    if (linux.statDescriptorSync(fd).type !== constants.S_IFREG) return undefined;
    const bytes = Buffer.alloc(largestFile);
    return bytes.subarray(0, linux.readAtSync(fd, bytes, 0)).toString();
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
