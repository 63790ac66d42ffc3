import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as linux from "./index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-linux-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const isRoot = process.getuid?.() === 0;
const errno = (code: string) => expect.objectContaining({ code });
const file = (name: string, content = "") => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

test("the self-test passes here and leaves nothing behind", async () => {
  const before = statSync(folder).nlink;
  await linux.linuxSelfTest(folder);
  expect(statSync(folder).nlink).toBe(before);
});

test("the self-test names what does not work", async () => {
  await expect(linux.linuxSelfTest(join(folder, "absent"))).rejects.toMatchObject({
    reason: "LINUX_CALL_UNUSABLE",
    details: { call: "mkdtemp" },
  });
});

test("times are set to the nanosecond, also before the epoch and on links", () => {
  const target = file("target");
  const link = join(folder, "link");
  symlinkSync(target, link);
  linux.setTimesSync(link, { accessed: 5n, modified: -1_500_000_000n });
  expect(lstatSync(link, { bigint: true }).mtimeNs).toBe(-1_500_000_000n);
  expect(statSync(target, { bigint: true }).mtimeNs).toBeGreaterThan(0n);
  const before = statSync(target, { bigint: true }).atimeNs;
  const fd = openSync(target, "r");
  linux.setDescriptorTimesSync(fd, { modified: 1_234_567_890_123_456_789n });
  closeSync(fd);
  expect(statSync(target, { bigint: true })).toMatchObject({
    mtimeNs: 1_234_567_890_123_456_789n,
    atimeNs: before,
  });
});

test("rename without replacing, exchange", async () => {
  const [a, b] = [file("a", "a"), file("b", "b")];
  await expect(linux.renameNoReplace(a, b)).rejects.toMatchObject({ code: "EEXIST" });
  expect(() => linux.renameNoReplaceSync(a, b)).toThrow(errno("EEXIST"));
  await linux.renameExchange(a, b);
  expect(readFileSync(a, "utf8")).toBe("b");
  await linux.renameNoReplace(a, join(folder, "c"));
  expect(readFileSync(join(folder, "c"), "utf8")).toBe("b");
});

test("an unnamed file gets its name when it is complete", async () => {
  const directory = openSync(folder, constants.O_DIRECTORY);
  const fd = linux.openBeneathSync({
    directory,
    path: ".",
    flags: linux.openFlags.temporaryFile | constants.O_RDWR,
  });
  writeSync(fd, "whole");
  await linux.linkDescriptor(fd, join(folder, "named"));
  closeSync(fd);
  closeSync(directory);
  expect(readFileSync(join(folder, "named"), "utf8")).toBe("whole");
});

test("nothing below a directory leads out of it", async () => {
  mkdirSync(join(folder, "in/deep"), { recursive: true });
  file("in/deep/file", "x");
  symlinkSync("/etc/passwd", join(folder, "in/absolute"));
  symlinkSync("../..", join(folder, "in/up"));
  symlinkSync("deep/file", join(folder, "in/inside"));
  const directory = openSync(join(folder, "in"), linux.openFlags.path | constants.O_DIRECTORY);
  const open = (path: string, resolve?: number) =>
    linux.openBeneathSync({
      directory,
      path,
      flags: constants.O_RDONLY,
      ...(resolve !== undefined && { resolve }),
    });
  try {
    for (const path of ["absolute", "up", "..", "/etc/passwd", "deep/../../x"])
      expect(() => open(path)).toThrow(errno("EXDEV"));
    expect(() => open("inside", linux.resolveFlags.noSymlinks)).toThrow(errno("ELOOP"));
    const fd = open("inside");
    expect(readFileSync(fd, "utf8")).toBe("x");
    closeSync(fd);
    closeSync(
      await linux.openBeneath({
        directory,
        path: "new",
        flags: constants.O_CREAT | constants.O_WRONLY,
        mode: 0o640,
      }),
    );
    expect(statSync(join(folder, "in/new")).mode & 0o777).toBe(0o640);
  } finally {
    closeSync(directory);
  }
});

test("descriptor paths take one component only", () => {
  for (const name of ["", ".", "..", "a/b", "a\0b"])
    expect(() => linux.descriptorPath(3, name)).toThrow(errno("EINVAL"));
  expect(linux.descriptorPath(3, Buffer.from([0xff]))).toEqual(
    Buffer.concat([Buffer.from("/proc/self/fd/3/"), Buffer.of(0xff)]),
  );
});

test("special files", () => {
  linux.makeFifoSync(join(folder, "fifo"), 0o600);
  linux.makeSocketFileSync(join(folder, "socket"), 0o600);
  expect(lstatSync(join(folder, "fifo")).isFIFO()).toBe(true);
  expect(lstatSync(join(folder, "socket")).isSocket()).toBe(true);
});

test.runIf(isRoot).each([
  [0, 0],
  [259, 70_000],
  [4095, 1_048_575],
])("device %i:%i", (major, minor) => {
  const path = join(folder, "device");
  linux.makeDeviceSync(path, "character", { major, minor }, 0o600);
  const stat = lstatSync(path);
  expect(stat.isCharacterDevice()).toBe(true);
  expect(linux.deviceNumber(stat.rdev)).toEqual({ major, minor });
});

test("holes and data", async () => {
  const fd = openSync(file("sparse"), "r+");
  try {
    writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 65_536);
    ftruncateSync(fd, 1_048_576);
    expect(await linux.nextData(fd, 0)).toBe(65_536);
    expect(await linux.nextHole(fd, 65_536)).toBe(69_632);
    expect(await linux.nextData(fd, 69_632)).toBeUndefined();
    expect(await linux.nextHole(fd, 2_000_000)).toBeUndefined();
    await linux.punch(fd, 65_536, 4096);
    expect(await linux.nextData(fd, 0)).toBeUndefined();
    await linux.allocate(fd, 0, 2_097_152);
    expect(fstatSync(fd)).toMatchObject({ size: 2_097_152, blocks: 4096 });
  } finally {
    closeSync(fd);
  }
});

test("a lock excludes other open files and goes with the descriptor", () => {
  const path = file("lock");
  const [first, second] = [openSync(path, "r"), openSync(path, "r")];
  linux.lockFileSync(first, "exclusive");
  expect(() => linux.lockFileSync(second, "shared")).toThrow(errno("EAGAIN"));
  closeSync(first);
  linux.lockFileSync(second, "exclusive");
  closeSync(second);
});

test("the peer of a Unix socket is this process", async () => {
  const path = join(folder, "s");
  const { promise, resolve } = Promise.withResolvers<linux.PeerCredentials>();
  const server = createServer((connection) => {
    resolve(linux.peerCredentials(connection));
    connection.end();
  }).listen(path);
  const client = createConnection(path);
  expect(await promise).toEqual({ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  client.destroy();
  server.close();
  expect(() => linux.peerCredentials(client)).toThrow(errno("EBADF"));
});

test("mount options of containerd", () => {
  const { bind, recursive, readOnly, noSuid } = linux.mountFlags;
  expect(linux.parseMountOptions(["rbind", "ro"])).toEqual({ flags: bind | recursive | readOnly, data: "" });
  expect(linux.parseMountOptions(["ro", "nosuid", "rw", "lowerdir=/a:/b", "constructor"])).toEqual({
    flags: noSuid,
    data: "lowerdir=/a:/b,constructor",
  });
});

test("options beyond a page are refused, not cut", async () => {
  const call = { source: "x", target: folder, type: "overlay", flags: 0, data: "o".repeat(4095) };
  await expect(linux.mount(call)).rejects.toMatchObject({ code: "E2BIG" });
});

test.runIf(isRoot)("mount and unmount", async () => {
  const options = linux.parseMountOptions(["nosuid", "nodev", "size=64k"]);
  await linux.mount({ source: "aeon-test", target: folder, type: "tmpfs", ...options });
  file("inside");
  await linux.unmount(folder, linux.unmountFlags.noFollow);
  expect(() => statSync(join(folder, "inside"))).toThrow(errno("ENOENT"));
});

test("a datagram to nobody fails, a long address is refused", () => {
  expect(() => linux.sendDatagramSync(join(folder, "absent"), "READY=1")).toThrow(errno("ENOENT"));
  expect(() => linux.sendDatagramSync("@aeon-nobody", "x")).toThrow(errno("ECONNREFUSED"));
  expect(() => linux.sendDatagramSync("/".repeat(109), "x")).toThrow(errno("ENAMETOOLONG"));
});

test("a file system is flushed", async () => {
  const fd = openSync(folder, "r");
  await linux.syncFileSystem(fd);
  closeSync(fd);
  await expect(linux.syncFileSystem(fd)).rejects.toMatchObject({ code: "EBADF" });
});

test("asking for a signal when the parent dies", () => {
  expect(() => linux.signalOnParentDeath("SIGTERM")).not.toThrow();
});

test("a file system says whether it tells entry types", () => {
  expect(linux.tellsEntryTypesSync(folder)).toBeUndefined();
  file("a");
  expect(linux.tellsEntryTypesSync(folder)).toBe(true);
  expect(() => linux.tellsEntryTypesSync(join(folder, "absent"))).toThrow(errno("ENOENT"));
});

test("free memory is given back", async () => {
  await expect(linux.releaseFreeMemory()).resolves.toBeUndefined();
});

const fileBacked = (): number =>
  Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);

test("a program goes on after its code left its resident memory", async () => {
  const before = fileBacked();
  await linux.releaseProgramCode();
  expect(fileBacked()).toBeLessThan(before - 4096);
  expect(JSON.parse("[1]")).toEqual([1]);
});
