import { constants } from "node:fs";
import { libcFunction } from "./libc.ts";
import { cString, showPath, type BytePath } from "./path.ts";

const mknod = libcFunction("int mknod(void *path, uint32_t mode, uint64_t device)");

/** Major and minor number of a device file. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** Splits `st_rdev`, as glibc's major() and minor() do. */
export function deviceNumber(rdev: number | bigint): DeviceNumber {
  const value = BigInt(rdev);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffffff00n)),
  };
}

function encodeDevice({ major, minor }: DeviceNumber): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
  );
}

const permissions = 0o7777;

/** Makes a device file; permission bits are subject to the umask. Needs CAP_MKNOD, except for 0:0 (a whiteout). */
export function makeDeviceSync(
  path: BytePath,
  kind: "character" | "block",
  device: DeviceNumber,
  mode: number,
): void {
  const type = kind === "character" ? constants.S_IFCHR : constants.S_IFBLK;
  mknod.sync(showPath(path), cString(path), type | (mode & permissions), encodeDevice(device));
}

/** Makes a named pipe; permission bits are subject to the umask. */
export function makeFifoSync(path: BytePath, mode: number): void {
  mknod.sync(showPath(path), cString(path), constants.S_IFIFO | (mode & permissions), 0);
}

/** Makes a socket file that nobody listens on, as an archive may hold; permission bits are subject to the umask. */
export function makeSocketFileSync(path: BytePath, mode: number): void {
  mknod.sync(showPath(path), cString(path), constants.S_IFSOCK | (mode & permissions), 0);
}
