import type { Labels, SnapshotInfo, Snapshotter } from "@aeon/core";
import { expect, test } from "vitest";
import { callBy, key } from "./call.ts";

export interface ContractOptions {
  /** Ends every key, so that several contracts can share one snapshotter. */
  readonly suffix?: string;
  /** The namespace of every call. */
  readonly namespace?: string;
  /** False for a snapshotter that does not understand List's filters. */
  readonly filters?: boolean;
}

const refused = async (work: Promise<unknown>, wanted: string) =>
  await expect(work).rejects.toMatchObject({ code: wanted });

/** What every Snapshotter has to do, whatever is behind it: containerd's semantics and codes. */
export function snapshotterContract(snapshotter: () => Snapshotter, options: ContractOptions = {}): void {
  const { suffix = "", namespace = "default", filters = true } = options;
  let count = 0;
  const call = () => callBy({ namespace });
  const fresh = (name: string) => key(`${name}-${(count += 1)}${suffix}`);
  const prepare = (name: string, parent?: SnapshotInfo["name"], labels: Labels = {}) =>
    snapshotter().prepare({ key: key(name), labels, ...(parent !== undefined && { parent }) }, call());
  const committed = async (parent?: SnapshotInfo["name"]) => {
    const active = fresh("layer");
    const name = fresh("name");
    await prepare(active, parent);
    await snapshotter().commit({ key: active, name, labels: { made: "by commit" } }, call());
    return name;
  };
  const listed = async (filter: readonly string[] = []) =>
    await Array.fromAsync(await snapshotter().list({ filters: filter }, call()));

  test("a base layer, a layer on it, and mounts for both kinds", async () => {
    const base = await committed();
    const top = await committed(base);
    const active = fresh("active");
    const view = fresh("view");
    const mounts = await prepare(active, top, { "containerd.io/snapshot/x": "1" });
    expect(mounts).toEqual([
      {
        type: "overlay",
        source: "overlay",
        target: "",
        options: expect.arrayContaining([expect.any(String)]),
      },
    ]);
    const named = mounts[0]?.options.map((option) => option.split("=")[0]);
    expect(named).toEqual(expect.arrayContaining(["upperdir", "workdir", "lowerdir"]));
    expect(await snapshotter().mounts({ key: active }, call())).toEqual(mounts);
    const shown = await snapshotter().view({ key: view, parent: top, labels: {} }, call());
    expect(shown[0]?.options.some((option) => option.startsWith("upperdir="))).toBe(false);
    expect(await snapshotter().stat({ key: active }, call())).toMatchObject({
      name: active,
      parent: top,
      kind: "active",
      labels: { "containerd.io/snapshot/x": "1" },
    });
    expect((await snapshotter().stat({ key: view }, call())).kind).toBe("view");
    const base0 = await snapshotter().stat({ key: base }, call());
    expect(base0).toMatchObject({ kind: "committed", labels: { made: "by commit" } });
    expect(base0).not.toHaveProperty("parent");
    const usage = await snapshotter().usage({ key: active }, call());
    expect(usage.inodes).toBeGreaterThanOrEqual(0n);
  });

  test("the codes of what cannot be", async () => {
    const base = await committed();
    const active = fresh("active");
    await prepare(active, base);
    const none = fresh("none");
    await refused(snapshotter().stat({ key: none }, call()), "not-found");
    await refused(snapshotter().mounts({ key: none }, call()), "not-found");
    await refused(snapshotter().remove({ key: none }, call()), "not-found");
    await refused(snapshotter().usage({ key: none }, call()), "not-found");
    await refused(snapshotter().update({ name: none, labels: {}, paths: [] }, call()), "not-found");
    await refused(snapshotter().commit({ key: none, name: fresh("n"), labels: {} }, call()), "not-found");
    await refused(prepare(fresh("a"), none), "not-found");
    await refused(prepare(fresh("a"), active), "invalid-argument");
    await refused(prepare(active, base), "already-exists");
    await refused(snapshotter().commit({ key: active, name: base, labels: {} }, call()), "already-exists");
    await refused(snapshotter().mounts({ key: base }, call()), "failed-precondition");
    await refused(snapshotter().remove({ key: base }, call()), "failed-precondition");
    await refused(
      snapshotter().update({ name: active, labels: {}, paths: ["parent"] }, call()),
      "invalid-argument",
    );
    expect((await snapshotter().stat({ key: active }, call())).kind).toBe("active");
  });

  test("labels are set, replaced and deleted; timestamps follow", async () => {
    const active = fresh("active");
    await prepare(active, undefined, { a: "1", b: "2" });
    const before = await snapshotter().stat({ key: active }, call());
    const update = async (labels: Labels, paths: readonly string[]) =>
      (await snapshotter().update({ name: active, labels, paths }, call())).labels;
    expect(await update({ a: "3", c: "4" }, ["labels.a"])).toEqual({ a: "3", b: "2" });
    expect(await update({}, ["labels.b"])).toEqual({ a: "3" });
    expect(await update({ z: "1" }, ["labels"])).toEqual({ z: "1" });
    expect(await update({ y: "1" }, [])).toEqual({ y: "1" });
    const after = await snapshotter().stat({ key: active }, call());
    expect(after.labels).toEqual({ y: "1" });
    expect(after.createdAt).toBe(before.createdAt);
    expect(after.updatedAt).toBeGreaterThan(before.updatedAt);
  });

  test("Remove frees the key; List shows what there is", async () => {
    const base = await committed();
    const active = fresh("active");
    await prepare(active, base);
    const names = (await listed()).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([base, active]));
    await snapshotter().remove({ key: active }, call());
    expect((await listed()).map(({ name }) => name)).not.toContain(active);
    await prepare(active, base);
    await snapshotter().remove({ key: active }, call());
    await snapshotter().remove({ key: base }, call());
    await snapshotter().cleanup({}, call());
  });

  if (!filters) return;
  test("List filters", async () => {
    const base = await committed();
    const found = await listed([`name=="${base}"`, `parent=="${base}"`]);
    expect(found.map(({ name }) => name)).toEqual([base]);
  });
}
