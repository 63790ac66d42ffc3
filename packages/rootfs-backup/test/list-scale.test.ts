import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { silentLogger } from "@aeon/core";
import { expect, test } from "vitest";
import { backupStore, posixObjects, type ObjectStore } from "../src/index.ts";
import { layout } from "../src/store/layout.ts";
import { draftOf, layerOf, putLayer } from "./make-backup.ts";
import { scratch } from "./scratch.ts";

const { signal } = new AbortController();

/** Notes every name that is asked for, and everything that a listing gives. */
function noting(objects: ObjectStore, touched: string[]): ObjectStore {
  return new Proxy(objects, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (typeof args[0] === "string") touched.push(`${String(name)} ${args[0]}`);
        const result: unknown = Reflect.apply(value, target, args);
        return result;
      };
    },
  });
}

/** Each is one workload with one backup: 100 000 of them take minutes to make, the number of requests is the same. */
const others = Number(process.env["AEON_LIST_BACKUPS"] ?? 200);

test(
  `listing a workload touches only its own names, among ${others} others`,
  { timeout: 600_000 },
  async () => {
    using dir = scratch();
    const touched: string[] = [];
    const objects = posixObjects({ path: dir.at("store"), writer: "node" });
    await using store = backupStore({ objects: noting(objects, touched), log: silentLogger });
    const layer = layerOf("content", "default", "own-0");
    await putLayer(store, layer, "content");
    for (const [index, id] of ["own-0", "own-1", "own-2"].entries())
      await store.putBackup(
        draftOf(id, [layer], { workload: "own", ...(index > 0 && { parent: `own-${index - 1}` }) }),
        signal,
      );
    await store.putBackup(draftOf("other", [layer], { workload: "other" }), signal);
    const chain = { tenant: "default", workload: "own", container: "main" };
    const at = (workload: string) => dir.at("store", layout.workload("default", workload));
    const name = readFileSync(dir.at("store", layout.pointer("default", "other")));
    for (let index = 0; index < others; index += 1) {
      cpSync(at("other"), at(`other-${index}`), { recursive: true });
      mkdirSync(dir.at("store", layout.pointers("default")), { recursive: true });
      writeFileSync(dir.at("store", layout.pointer("default", `other-${index}`)), name);
    }
    touched.length = 0;
    const ids: string[] = [];
    for await (const { id } of store.list(chain, signal)) ids.push(id);
    const head = await store.head(chain, signal);
    expect(ids.toSorted()).toEqual(["own-0", "own-1", "own-2"]);
    expect(head?.tip?.backup).toBe("own-2");
    expect(touched.filter((each) => !each.includes(` ${layout.chain(chain)}`))).toEqual([]);
    expect(touched).toHaveLength(5);
  },
);
