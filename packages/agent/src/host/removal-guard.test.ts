import { AeonError, snapshotKey, type HookContext, type SnapshotKind } from "@aeon/core";
import { expect, test } from "vitest";
import { removalGuard } from "./removal-guard.ts";

const key = snapshotKey("k8s.io/1/c");

const refuse = async (): Promise<never> => {
  throw new AeonError("unimplemented", "UNEXPECTED", "not part of this test");
};

/** A hook's context on a backend that knows one snapshot, or none. */
const contextOf = (kind: SnapshotKind | undefined): HookContext => ({
  caller: {},
  signal: new AbortController().signal,
  backend: {
    prepare: refuse,
    view: refuse,
    mounts: refuse,
    commit: refuse,
    remove: refuse,
    update: refuse,
    list: refuse,
    usage: refuse,
    cleanup: refuse,
    async stat() {
      if (kind === undefined) throw new AeonError("not-found", "SNAPSHOT_NOT_FOUND", "no such snapshot");
      return { name: key, kind, createdAt: 0n, updatedAt: 0n, labels: {} };
    },
    async [Symbol.asyncDispose]() {},
  },
});

const removal = (kind: SnapshotKind | undefined, missing: readonly string[]) =>
  removalGuard(() => missing).preRemove?.({ key }, contextOf(kind));

test("a writable snapshot stays while a keeper is missing", async () => {
  await expect(removal("active", ["backup"])).rejects.toMatchObject({
    code: "failed-precondition",
    reason: "REMOVAL_DEFERRED",
  });
});

test.each<[SnapshotKind | undefined, readonly string[]]>([
  ["active", []],
  ["view", ["backup"]],
  ["committed", ["backup"]],
  [undefined, ["backup"]],
])("a removal of kind %s with %j missing goes on", async (kind, missing) => {
  await expect(removal(kind, missing)).resolves.toBeUndefined();
});
