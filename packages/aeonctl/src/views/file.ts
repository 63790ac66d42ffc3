import type { TreeEntry } from "@aeon/rootfs-backup/inspect";
import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";
import type { Style } from "../format/style.ts";
import { formatTable, type Column } from "../format/table.ts";
import { modeText } from "./mode-text.ts";
import { nanosecondTime, shortTime } from "./timestamp.ts";

/** One entry of `aeonctl backup files`. */
export interface FileView {
  /** Absolute; bytes that are not UTF-8 are replaced. */
  readonly path: string;
  /** `file`, `directory`, `symlink`, `link`, `character`, `block`, `fifo`, or `deleted`. */
  readonly type: string;
  /** Permission bits. */
  readonly mode: number | null;
  readonly uid: number | null;
  readonly gid: number | null;
  /** Bytes of a file. */
  readonly size: number | null;
  readonly modifiedAt: string | null;
  /** Of a symbolic link, or the other name of a hard link. */
  readonly target: string | null;
  /** Names of the extended attributes. */
  readonly xattrs: readonly string[];
  /** Of a directory: nothing that the image has in it is shown. */
  readonly hidesImage: boolean;
  /** The backup that the entry is from. */
  readonly backup: string;
}

const textOf = (path: Buffer): string => (path.toString() === "." ? "/" : `/${path.toString()}`);

export function fileView({ entry, hidesImage }: TreeEntry, backup: string): FileView {
  const { path, type, mode, uid, gid, mtime, size, target, xattrs } = entry;
  const isDeleted = type === "whiteout";
  const targetText = type === "link" && target !== undefined ? textOf(target) : target?.toString();
  return {
    path: textOf(path),
    type: isDeleted ? "deleted" : type,
    mode: isDeleted ? null : mode,
    uid: isDeleted ? null : uid,
    gid: isDeleted ? null : gid,
    size: type === "file" || type === "link" ? size : null,
    modifiedAt: isDeleted ? null : nanosecondTime(mtime),
    target: targetText ?? null,
    xattrs,
    hidesImage: type === "directory" && hidesImage,
    backup,
  };
}

const arrow = ({ type, target }: FileView): string =>
  target === null ? "" : type === "link" ? ` = ${target}` : ` -> ${target}`;

const paintType = (text: string, { type }: FileView, style: Style): string =>
  type === "deleted" ? style.bad(text) : type === "directory" ? style.strong(text) : text;

const columns: readonly Column<FileView>[] = [
  { title: "MODE", text: ({ type, mode }) => modeText(type, mode) },
  { title: "OWNER", text: ({ uid, gid }) => (uid === null ? null : `${uid}:${gid}`) },
  { title: "SIZE", text: ({ size }) => (size === null ? null : humanSize(size)), align: "right" },
  { title: "MODIFIED", text: ({ modifiedAt }) => shortTime(modifiedAt) },
  { title: "PATH", text: (file) => `${file.path}${arrow(file)}`, paint: paintType },
];

export const fileTable = (files: readonly FileView[], style: Style): string =>
  formatTable(files, columns, style);

/** The same as a tree with sizes. */
export function fileTree(files: readonly FileView[], style: Style): string {
  return files
    .map((file) => {
      const parts = file.path.split("/").filter((part) => part !== "");
      const name = parts.at(-1) ?? "/";
      const mark = file.type === "directory" && name !== "/" ? "/" : "";
      const size = file.size === null ? "" : `  ${style.faint(humanSize(file.size))}`;
      const note = file.type === "deleted" ? `  ${style.bad("deleted")}` : "";
      const shown = paintType(printable(`${name}${mark}${arrow(file)}`), file, style);
      return `${"  ".repeat(parts.length)}${shown}${size}${note}\n`;
    })
    .join("");
}
