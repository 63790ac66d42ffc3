import { existsSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, linux } from "@aeon/core";
import { humanSize } from "../format/size.ts";
import { failure, good, warning, type Finding, type Host } from "./finding.ts";

/** A disk with less than this share of bytes or inodes left is short. */
const shortShare = 0.1;
/** Seconds that a file's time may differ from the clock. */
const mostSkew = 5;

/** The file system of the agent's folders, its room, and who may enter. */
export function checkFiles({ root, state }: Pick<Host, "root" | "state">): readonly Finding[] {
  if (!existsSync(root))
    return [
      warning("files.root", `${root} does not exist`, "start the agent once, or name its folder with --root"),
    ];
  return [...[root, state].flatMap(permissions), entryTypes(root), ...room(root), clock(root)];
}

function permissions(folder: string): readonly Finding[] {
  if (!existsSync(folder)) return [];
  const { uid, mode } = statSync(folder);
  const shown = `${folder} is ${(mode & 0o777).toString(8)} of user ${uid}`;
  return [
    uid === process.getuid?.() && (mode & 0o022) === 0
      ? good("files.permissions", shown)
      : failure("files.permissions", shown, `chown root ${folder} && chmod 0711 ${folder}`),
  ];
}

/** overlayfs needs to know the type of a directory's entries (d_type): xfs without ftype=1 does not tell. */
function entryTypes(root: string): Finding {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(root, ".doctor-"));
    writeFileSync(join(folder, "entry"), "");
    return linux.tellsEntryTypesSync(folder) === true
      ? good("files.d-type", `the file system of ${root} tells types of entries`)
      : failure(
          "files.d-type",
          `the file system of ${root} tells no types of entries`,
          "mkfs.xfs -n ftype=1, or use ext4",
        );
  } catch (error) {
    return failure(
      "files.d-type",
      `${root} cannot be written: ${errorMessage(error)}`,
      "run as root, on a writable file system",
    );
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function room(root: string): readonly Finding[] {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(root);
  const space = `${humanSize(bavail * bsize)} of ${humanSize(blocks * bsize)} are free at ${root}`;
  const inodes = `${ffree} of ${files} inodes are free at ${root}`;
  return [
    bavail < blocks * shortShare
      ? warning("files.space", space, "make room: a full disk refuses new backups")
      : good("files.space", space),
    // Some file systems have no fixed number of inodes.
    files > 0 && ffree < files * shortShare
      ? warning("files.inodes", inodes, "make room: removed images free inodes")
      : good("files.inodes", inodes),
  ];
}

function clock(root: string): Finding {
  const isSynchronised = [
    "/run/systemd/timesync/synchronized",
    "/run/chrony/chronyd.sock",
    "/var/lib/chrony/drift",
    "/var/lib/ntp/ntp.drift",
  ].some((file) => existsSync(file));
  const folder = mkdtempSync(join(root, ".doctor-"));
  const skew = Math.abs(statSync(folder).ctimeMs - Date.now()) / 1000;
  rmSync(folder, { recursive: true });
  if (skew > mostSkew)
    return failure(
      "clock",
      `the clock and the times of files differ by ${skew.toFixed(0)} s`,
      "set the clock of this host, or of its file server",
    );
  return isSynchronised
    ? good("clock", "the clock is kept by a time server")
    : warning(
        "clock",
        "no sign of a time server that keeps the clock",
        "run chrony or systemd-timesyncd; tokens and retention go by time",
      );
}
