import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linux } from "@aeon/core";
import { expect, test } from "vitest";
import { listAll, memoryRoot, start, testFolder } from "./harness.ts";

test("a full disk refuses new snapshots with a clear code; space back, all goes on", async () => {
  const root = await memoryRoot("2m");
  const { client } = await start({ root });
  await client.prepare({ key: "first" });
  const ballast = join(root, "ballast");
  expect(() => writeFileSync(ballast, Buffer.alloc(4 << 20))).toThrow("ENOSPC");
  const full = { code: "resource-exhausted" };
  for (let attempt = 0; attempt < 3; attempt++)
    await expect(client.prepare({ key: "second" })).rejects.toMatchObject(full);
  expect((await listAll(client)).infos.map(({ name }) => name)).toEqual(["first"]);
  expect((await client.mounts({ key: "first" })).mounts).toHaveLength(1);
  rmSync(ballast);
  await client.prepare({ key: "second" });
  await client.commit({ key: "second", name: "done" });
  await client.remove({ key: "first" });
  await client.cleanup({});
  expect(existsSync(join(root, "snapshots/1"))).toBe(false);
});

test("a file system without inodes left", async () => {
  const root = join(await testFolder(), "root");
  mkdirSync(root);
  await linux.mount({
    source: "aeon-test",
    target: root,
    type: "tmpfs",
    flags: 0,
    data: "size=10m,nr_inodes=16",
  });
  const { client } = await start({ root });
  const keys = Array.from({ length: 16 }, (_, index) => `k${index}`);
  const results: PromiseSettledResult<unknown>[] = [];
  for (const key of keys) results.push(...(await Promise.allSettled([client.prepare({ key })])));
  const made = keys.filter((_, index) => results[index]?.status === "fulfilled");
  const refused = results.find((result) => result.status === "rejected");
  expect(refused?.reason).toMatchObject({ code: "resource-exhausted" });
  expect(made.length).toBeGreaterThan(0);
  await client.remove({ key: made.at(-1) ?? "" });
  await client.cleanup({});
  await client.prepare({ key: "again" });
});

test("a root that turns read-only refuses changes, still answers, and recovers", async () => {
  const root = await memoryRoot();
  const { client } = await start({ root });
  await client.prepare({ key: "a" });
  const { remount, readOnly } = linux.mountFlags;
  const call = { source: "none", target: root, type: "", data: "" };
  // The database keeps a file open for writing, which stops an ordinary remount: bind over, read-only.
  const { bind } = linux.mountFlags;
  await linux.mount({ ...call, source: root, flags: bind });
  await linux.mount({ ...call, flags: bind | remount | readOnly });
  for (let attempt = 0; attempt < 2; attempt++)
    await expect(client.view({ key: "b" })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("EROFS"),
    });
  expect((await client.stat({ key: "a" })).info?.name).toBe("a");
  await linux.unmount(root, linux.unmountFlags.detach);
  await client.view({ key: "b" });
});

test("a root that is gone is unavailable, not a missing snapshot", async () => {
  const { client, root } = await start();
  await client.prepare({ key: "a" });
  await client.commit({ key: "a", name: "one" });
  await client.prepare({ key: "warm", parent: "one" });
  const away = `${root}-away`;
  renameSync(root, away);
  for (const parent of ["", "one"])
    await expect(client.prepare({ key: "b", parent })).rejects.toMatchObject({ code: "unavailable" });
  await expect(client.cleanup({})).rejects.toMatchObject({ code: "unavailable" });
  renameSync(away, root);
  await client.prepare({ key: "b", parent: "one" });
  await client.cleanup({});
});
