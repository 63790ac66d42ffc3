import { readFile, realpath } from "node:fs/promises";

/** File systems that keep data elsewhere and may say that it is durable before it is. */
const remoteCaches =
  /^fuse\.(?:juicefs|rclone|s3fs|goofys|gcsfuse|blobfuse2?|mount-s3|ossfs|cosfs|obsfs|sshfs)$|^fuse\.rclone/i;
const memory = /^(?:tmpfs|ramfs)$/;

const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The type of the file system that a path is on, from a table in the form of `/proc/mounts`. */
export function fileSystemOf(path: string, table: string): string | undefined {
  let found: { readonly length: number; readonly type: string } | undefined;
  for (const line of table.split("\n")) {
    const [, target, type] = line.split(" ");
    if (target === undefined || type === undefined) continue;
    const folder = unescape(target);
    const isBelow = path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
    // Later lines are mounted over earlier ones.
    if (isBelow && folder.length >= (found?.length ?? 0)) found = { length: folder.length, type };
  }
  return found?.type;
}

/** What people should know of the file system that a store's folder is on. */
export async function mountWarnings(path: string): Promise<readonly string[]> {
  const type = fileSystemOf(await realpath(path), await readFile("/proc/self/mounts", "utf8"));
  return type === undefined ? [] : warningsFor(path, type);
}

/** @internal */
export function warningsFor(path: string, type: string): readonly string[] {
  if (remoteCaches.test(type))
    return [
      `${path} is on ${type}: with write-back caching such a mount calls data durable that is only on this host; switch that off (JuiceFS: no --writeback), or use a store of type s3`,
    ];
  if (memory.test(type)) return [`${path} is on ${type}, which is in memory: backups go with this host`];
  return [];
}
