import { readFileSync } from "node:fs";

/** One line of a process's mountinfo (proc(5)). */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  /** As seen from the root of that process. */
  readonly point: string;
  readonly type: string;
  readonly readOnly: boolean;
}

/** Mounts of the namespace that a process is in, in the order of the kernel. */
export function mountTable(pid: number | "self"): readonly MountLine[] {
  return readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [before = "", after = ""] = line.split(" - ", 2);
      const [id, parent, , , point = "", options = ""] = before.split(" ");
      const [type = ""] = after.split(" ");
      if (id === undefined || id === "" || type === "") return [];
      const readOnly = options.split(",").includes("ro");
      return [{ id: Number(id), parent: Number(parent), point: unescape(point), type, readOnly }];
    });
}

/** Blanks and the like are written as octal numbers. */
const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Which mount an open file lies in. */
export function mountIdOf(fd: number): number {
  const found = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  return Number(found ?? -1);
}

/** File systems that hold files; others, such as proc and sysfs, are doors to the kernel. */
const fileSystems =
  /^(ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|overlay|tmpfs|ramfs|nfs4?|ceph|cifs|smb3|9p|virtiofs|erofs|squashfs|iso9660|vfat|exfat|fuse(\..+)?|fuseblk|lustre|gpfs)$/;

export const holdsFiles = (type: string): boolean => fileSystems.test(type);
