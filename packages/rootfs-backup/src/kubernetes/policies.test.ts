import { expect, test } from "vitest";
import { parsePod, parsePolicy } from "./api.ts";
import { decide } from "./policies.ts";

const metadata = (name: string, namespace: string, more: object = {}) => ({
  name,
  namespace,
  uid: name,
  resourceVersion: "1",
  ...more,
});
const pod = (labels: object) =>
  parsePod({ metadata: metadata("p", "shop", { labels }), spec: { containers: [{ name: "c" }] } });
const policy = (name: string, created: string, spec: object, namespace = "shop") =>
  parsePolicy({ metadata: metadata(name, namespace, { creationTimestamp: created }), spec });

test("a policy selects by labels in its own namespace, an empty selector all", () => {
  const web = policy("web", "2026-01-01T00:00:00Z", { selector: { matchLabels: { app: "web" } } });
  expect(decide(pod({ app: "web" }), [web]).labels).toEqual({ "backup.container.io/enabled": "true" });
  expect(decide(pod({ app: "db" }), [web]).labels).toEqual({});
  const all = policy("all", "2026-01-01T00:00:00Z", { selector: {} });
  expect(decide(pod({}), [all]).labels).toEqual({ "backup.container.io/enabled": "true" });
  expect(decide(pod({}), [policy("x", "2026-01-01T00:00:00Z", { selector: {} }, "other")]).labels).toEqual(
    {},
  );
});

test("of two that disagree the older wins, in whatever order they come, and both are named", () => {
  const older = policy("z", "2026-01-01T00:00:00Z", { selector: {}, schedule: "6h" });
  const newer = policy("a", "2026-02-01T00:00:00Z", { selector: {}, schedule: "1h", containers: ["c"] });
  for (const order of [
    [older, newer],
    [newer, older],
  ]) {
    const { labels, disputes } = decide(pod({}), order);
    expect(labels).toEqual({
      "backup.container.io/enabled": "true",
      "backup.container.io/schedule": "6h",
      "backup.container.io/containers": "c",
    });
    expect(disputes).toEqual(["a wants backup.container.io/schedule=1h, z is older and wins"]);
  }
});

const retentionOf = (retention: object) =>
  decide(pod({}), [policy("p", "2026-01-01T00:00:00Z", { selector: {}, retention })]).labels[
    "backup.container.io/retention"
  ];

test("a policy says which backups stay, in one text for the same rules; what makes no sense is left out", () => {
  const text = '{"keepLast":3,"maxAgeMs":2592000000,"maxBytes":1073741824}';
  expect(retentionOf({ maxBytes: "1GiB", maxAge: "30d", keepLast: 3 })).toBe(text);
  expect(retentionOf({ keepLast: 3, maxBytes: "1024MiB", maxAge: "720h" })).toBe(text);
  expect(retentionOf({})).toBeUndefined();
  expect(retentionOf({ maxAge: "for ever" })).toBeUndefined();
  expect(retentionOf({ keepLast: -1 })).toBeUndefined();
});
