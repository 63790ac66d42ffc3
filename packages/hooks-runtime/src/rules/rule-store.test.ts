import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRuleStore } from "./rule-store.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-rule-store-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = () => join(folder, "hooks.json");
const put = (text: string) => {
  writeFileSync(`${file()}.new`, text, { mode: 0o644 });
  renameSync(`${file()}.new`, file());
};
const hooks = (path: string) => JSON.stringify({ poststop: [{ path }] });

test("follows its files and keeps the last good rules while they are broken", async () => {
  put(hooks("/one"));
  await using store = await openRuleStore({ sources: { file: file(), hooksD: [] } });
  const path = () => store.plan.rules[0]?.hooks.poststop?.[0]?.path;
  expect(path()).toBe("/one");

  put(hooks("/two"));
  await expect.poll(path).toBe("/two");
  expect(store.failure).toBeUndefined();

  put('{"poststop":[{"path":"three"}]}');
  await expect
    .poll(() => store.failure)
    .toMatch(/hooks\.json:1:15: poststop\[0\]\.path: must be an absolute path/);
  expect(path()).toBe("/two");

  writeFileSync(file(), hooks("/four"));
  await expect.poll(path).toBe("/four");
  expect(store.failure).toBeUndefined();

  rmSync(file());
  await expect.poll(() => store.plan.rules).toEqual([]);
});

test("folders that do not exist yet are waited for", async () => {
  const sources = { file: join(folder, "a/b/hooks.json"), hooksD: [join(folder, "d")] };
  await using store = await openRuleStore({ sources });
  expect(store.failure).toBeUndefined();
  mkdirSync(join(folder, "a/b"), { recursive: true });
  writeFileSync(sources.file, hooks("/one"), { mode: 0o644 });
  await expect.poll(() => store.plan.rules).toHaveLength(1);
  mkdirSync(join(folder, "d"));
  const rule = { version: "1.0.0", hook: { path: "/two" }, when: { always: true }, stages: ["poststop"] };
  writeFileSync(join(folder, "d/x.json"), JSON.stringify(rule), { mode: 0o644 });
  await expect.poll(() => store.plan.rules).toHaveLength(2);
  rmSync(join(folder, "d"), { recursive: true });
  await expect.poll(() => store.plan.rules).toHaveLength(1);
});

test("broken at the start: no rules, a failure, and both heal", async () => {
  put("{");
  const plans: number[] = [];
  await using store = await openRuleStore({
    sources: { file: file(), hooksD: [join(folder, "absent.d")] },
    onChange: ({ rules }) => plans.push(rules.length),
  });
  expect(store.plan.rules).toEqual([]);
  expect(store.failure).toMatch(/hooks\.json:1:/);
  await expect(store.reload()).rejects.toThrow(expect.objectContaining({ reason: "RULES_INVALID" }));
  put(hooks("/one"));
  await expect.poll(() => plans).toEqual([1]);
});
