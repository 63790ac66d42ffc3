import { expect, test } from "vitest";
import { compileFiles } from "./load-rules.ts";
import { matcherFor } from "./injection.ts";
import type { ContainerFacts } from "./container-facts.ts";

const matcher = async (...rules: object[]) => {
  const named = rules.map((rule, index) => Object.assign({ name: `r${index}` }, rule));
  const text = JSON.stringify({ version: 1, rules: named });
  return matcherFor(await compileFiles([{ path: "/hooks.json", text }]));
};
const web: ContainerFacts = {
  namespace: "prod-eu",
  pod: "web-1",
  container: "nginx",
  image: "registry/nginx:1.2",
  command: "/usr/sbin/nginx",
  runtimeHandler: "aeon",
  role: "container",
  annotations: { team: "blue" },
  labels: { app: "web" },
  hasBindMounts: true,
};

test.each([
  [{ namespaces: "^prod-" }, true],
  [{ namespaces: ["^dev", "^prod-"] }, true],
  [{ pods: "^web-[0-9]+$" }, true],
  [{ pods: "^web$" }, false],
  [{ containers: "^nginx$", images: "nginx:1" }, true],
  [{ containers: "^nginx$", images: "nginx:2" }, false],
  [{ commands: "nginx$", runtimeHandlers: "^aeon$" }, true],
  [{ annotations: { "^team$": "blue|red" }, labels: { app: "^web$" } }, true],
  [{ annotations: { "^team$": "blue", none: "" } }, false],
  [{ hasBindMounts: false }, false],
  [{ hasBindMounts: true, role: "container" }, true],
  [{ not: { namespaces: "^prod-" } }, false],
  [{ namespaces: "^prod-", not: { pods: "^db" } }, true],
  [{ not: { not: { namespaces: "^prod-" } } }, true],
  [{ not: { namespaces: "^prod-", pods: "^db" } }, true],
  [{ always: false, namespaces: "" }, false],
  [{}, true],
])("when %j applies to a container of pod web-1: %s", async (when, applies) => {
  const [explanation] = (await matcher({ when })).explain(web);
  expect(explanation?.applies).toBe(applies);
  expect(explanation?.reasons.length).toBeGreaterThan(0);
});

test.each([
  [{ labels: { a: "b" } }],
  [{ not: { labels: { a: "b" } } }],
  [{ pods: "x", not: { always: false } }],
])("when %j stays open where the engine does not tell, and is not applied", async (when) => {
  const asked = await matcher({ when, env: ["A=1"] });
  expect(asked.explain({})[0]?.applies).toBeUndefined();
  expect(asked.injectionFor({}).env).toEqual([]);
});

test("an answer that is known decides despite open ones", async () => {
  const asked = await matcher({ when: { labels: { a: "b" }, namespaces: "^dev" } });
  expect(asked.explain({ namespace: "prod" })[0]?.applies).toBe(false);
});

test("a time-out of the rule is for its hooks that have none", async () => {
  const asked = await matcher({
    timeout: 7,
    hooks: { poststop: [{ path: "/a" }, { path: "/b", timeout: 2 }] },
  });
  expect(asked.injectionFor({}).hooks.poststop?.last).toEqual([
    { path: "/a", timeout: 7 },
    { path: "/b", timeout: 2 },
  ]);
});

test("rules add up in their order", async () => {
  const asked = await matcher(
    { order: 2, hooks: { poststop: [{ path: "/two" }] }, annotations: { k: "two" }, env: ["A=2"] },
    { order: 1, hooks: { poststop: [{ path: "/one" }] }, annotations: { k: "one", l: "x" }, env: ["A=1"] },
    { position: "first", hooks: { poststop: [{ path: "/zero" }] } },
  );
  expect(asked.injectionFor({})).toEqual({
    rules: ["r2", "r1", "r0"],
    hooks: { poststop: { first: [{ path: "/zero" }], last: [{ path: "/one" }, { path: "/two" }] } },
    env: ["A=1", "A=2"],
    mounts: [],
    annotations: { k: "two", l: "x" },
  });
});

test("an expression made to be slow is not", async () => {
  const asked = await matcher({ when: { annotations: { "^a$": "^(a+)+$" } } });
  const start = performance.now();
  asked.explain({ annotations: { a: `${"a".repeat(5000)}!` } });
  expect(performance.now() - start).toBeLessThan(1000);
});
