import { expect, test } from "vitest";
import { layer, listAll, nanoseconds, start } from "./harness.ts";

const missing = { code: "not-found", reason: "SNAPSHOT_NOT_FOUND" };

/** `base` and `top` (on it) committed, `active` on `top`, `orphan` active without parent, `view` of `base`. */
async function populated() {
  const at = await start();
  await layer({ ...at, name: "base" });
  await layer({ ...at, name: "top", parent: "base" });
  await at.client.prepare({ key: "active", parent: "top", labels: { a: "1" } });
  await at.client.prepare({ key: "orphan" });
  await at.client.view({ key: "view", parent: "base" });
  return at;
}

test("unknown keys are not found", async () => {
  const { client } = await populated();
  for (const call of [
    client.stat({ key: "no" }),
    client.mounts({ key: "no" }),
    client.usage({ key: "no" }),
    client.remove({ key: "no" }),
    client.update({ info: { name: "no" } }),
    client.update({ info: { name: "no" }, updateMask: { paths: ["name"] } }),
    client.commit({ key: "no", name: "new" }),
    client.commit({ key: "no", name: "base" }),
    client.prepare({ key: "new", parent: "no" }),
    client.view({ key: "new", parent: "no" }),
  ])
    await expect(call).rejects.toMatchObject(missing);
  await expect(client.stat({ key: "new" })).rejects.toMatchObject(missing);
});

test.each(["active", "view", "orphan"])("%s cannot be a parent", async (parent) => {
  const { client } = await populated();
  await expect(client.prepare({ key: "new", parent })).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(client.view({ key: "new", parent })).rejects.toMatchObject({ code: "invalid-argument" });
});

test.each(["active", "view", "base"])("%s is a name in use", async (name) => {
  const { client } = await populated();
  const exists = { code: "already-exists", reason: "SNAPSHOT_EXISTS" };
  await expect(client.prepare({ key: name, parent: "base" })).rejects.toMatchObject(exists);
  await expect(client.view({ key: name })).rejects.toMatchObject(exists);
  await expect(client.commit({ key: "orphan", name })).rejects.toMatchObject(exists);
  // The target's name is checked before the kind of the key.
  await expect(client.commit({ key: "view", name })).rejects.toMatchObject(exists);
  expect((await client.stat({ key: "orphan" })).info?.name).toBe("orphan");
  expect((await client.mounts({ key: "orphan" })).mounts).toHaveLength(1);
});

test("two Prepares of one key: one wins, one is told, nothing is left of the other", async () => {
  const { client } = await populated();
  const calls = Array.from({ length: 8 }, () => client.prepare({ key: "race", parent: "top" }));
  const results = await Promise.allSettled(calls);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const refused = results.filter((result) => result.status === "rejected");
  expect(refused.map(({ reason }) => reason.code)).toEqual(Array.from({ length: 7 }, () => "already-exists"));
  await client.remove({ key: "race" });
  await client.cleanup({});
});

test("only active snapshots are committed", async () => {
  const { client } = await populated();
  for (const key of ["view", "base"])
    await expect(client.commit({ key, name: "new" })).rejects.toMatchObject({ code: "failed-precondition" });
});

test("Commit with a parent", async () => {
  const { client } = await populated();
  const commit = (key: string, parent: string) => client.commit({ key, name: `${key}-done`, parent });
  await expect(commit("active", "base")).rejects.toMatchObject({ code: "invalid-argument" });
  await expect(commit("orphan", "no")).rejects.toMatchObject({ code: "not-found" });
  await expect(commit("orphan", "active")).rejects.toMatchObject({ code: "failed-precondition" });
  await expect(commit("orphan", "view")).rejects.toMatchObject({ code: "failed-precondition" });
  await commit("active", "top");
  await commit("orphan", "base");
  expect((await client.stat({ key: "orphan-done" })).info?.parent).toBe("base");
  await expect(client.remove({ key: "base" })).rejects.toMatchObject({ code: "failed-precondition" });
  const { mounts } = await client.prepare({ key: "child", parent: "orphan-done" });
  expect(mounts[0]?.options.find((option) => option.startsWith("lowerdir="))?.split(":")).toHaveLength(2);
});

test("committed snapshots have no mounts, and those with children stay", async () => {
  const { client } = await populated();
  await expect(client.mounts({ key: "top" })).rejects.toMatchObject({ code: "failed-precondition" });
  for (const key of ["base", "top"])
    await expect(client.remove({ key })).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringMatching(/remove/),
    });
});

test.each(["name", "parent", "kind", "created_at", "createdat", "", "Labels", "labels."])(
  "an update of %j changes nothing",
  async (path) => {
    const { client } = await populated();
    const before = (await client.stat({ key: "active" })).info;
    const wanted = { name: "active", labels: { a: "2" } };
    const update = client.update({ info: wanted, updateMask: { paths: ["labels.a", path] } });
    await expect(update).rejects.toMatchObject({ code: "invalid-argument" });
    expect((await client.stat({ key: "active" })).info).toEqual(before);
  },
);

test("updates replace or set labels, keep everything else, and answer with the result", async () => {
  const { client } = await populated();
  const before = (await client.stat({ key: "active" })).info;
  const masked = await client.update({
    info: { name: "active", parent: "nonsense", kind: 3, labels: { "b.c": "2", d: "3" } },
    updateMask: { paths: ["labels.b.c"] },
  });
  expect(masked.info).toMatchObject({
    name: "active",
    parent: "top",
    kind: before?.kind,
    createdAt: before?.createdAt,
    labels: { a: "1", "b.c": "2" },
  });
  expect(nanoseconds(masked.info?.updatedAt)).toBeGreaterThan(nanoseconds(before?.updatedAt));
  const deleted = await client.update({
    info: { name: "active", labels: { a: "" } },
    updateMask: { paths: ["labels.a", "labels.none"] },
  });
  expect(deleted.info?.labels).toEqual({ "b.c": "2" });
  const replaced = await client.update({
    info: { name: "active", labels: { x: "y", empty: "" } },
    updateMask: { paths: ["labels"] },
  });
  expect(replaced.info?.labels).toEqual({ x: "y" });
  const all = await client.update({ info: { name: "active", labels: { z: "1" } } });
  expect(all.info?.labels).toEqual({ z: "1" });
  expect((await client.stat({ key: "active" })).info).toEqual(all.info);
  const none = await client.update({ info: { name: "base" } });
  expect(none.info?.labels).toEqual({});
});

test("labels of a commit replace those of the active snapshot; empty values are not kept", async () => {
  const { client } = await populated();
  await client.commit({ key: "active", name: "done", labels: { b: "2", empty: "" } });
  expect((await client.stat({ key: "done" })).info?.labels).toEqual({ b: "2" });
});

test("List streams batches of a hundred, filtered, from one moment", async () => {
  const { client } = await start();
  expect(await listAll(client)).toEqual({ infos: [], batches: [] });
  const keys = Array.from({ length: 250 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => client.prepare({ key, labels: { n: key } })));
  const { infos, batches } = await listAll(client);
  expect(batches).toEqual([100, 100, 50]);
  expect(new Set(infos.map(({ name }) => name))).toEqual(new Set(keys));
  const some = await listAll(client, ["name==k7", "labels.n~=^k1.9$,kind==active", "kind==view"]);
  expect(some.infos.map(({ name }) => name).toSorted()).toEqual(
    ["k7", ...Array.from({ length: 10 }, (_, index) => `k1${index}9`)].toSorted(),
  );
  await expect(listAll(client, ["name=="])).rejects.toMatchObject({ code: "invalid-argument" });

  const seen = new Set<string>();
  for await (const { info } of client.list({})) {
    if (seen.size === 0)
      await Promise.all([
        ...keys.slice(200).map((key) => client.remove({ key })),
        client.prepare({ key: "later" }),
        client.stat({ key: "k0" }),
      ]);
    for (const { name } of info) seen.add(name);
  }
  expect(seen).toEqual(new Set(keys));
});
