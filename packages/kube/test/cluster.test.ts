import { setTimeout as delay } from "node:timers/promises";
import { isAeonError, silentLogger } from "@aeon/core";
import { connectKubernetes, parseAny, parserOf, type KubeClient } from "@aeon/kube";
import { expiredToken, startApiServer, writeKubeconfig, type ApiServer } from "@aeon/testkit";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";

let server: ApiServer;
let client: KubeClient;
const { signal } = new AbortController();

beforeAll(async () => {
  server = await startApiServer({ nodes: ["n1"], users: [{ name: "nobody" }] });
  client = await connect(server.kubeconfig);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const connect = (kubeconfig: string): Promise<KubeClient> =>
  connectKubernetes({ kubeconfig, nodeName: "n1", environment: {}, log: silentLogger });

const pods = "/api/v1/namespaces/default/pods";
const pod = (name: string, node: string) => ({
  metadata: { name, labels: { app: name }, annotations: { big: "x".repeat(1000) } },
  spec: {
    nodeName: node,
    automountServiceAccountToken: false,
    containers: [{ name: "c", image: "none" }],
  },
});
const anything = parserOf(v.looseObject({}));

async function until(what: () => boolean, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!what()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what.toString()}`);
    await delay(20);
  }
}

test("A watch follows the pods of its node alone, over a restart of the API server", async () => {
  const { admin } = server;
  await admin.create(pods, pod("before", "n1"));
  await admin.create(pods, pod("elsewhere", "n2"));
  const seen: string[] = [];
  await using watch = client.watch({
    path: "/api/v1/pods",
    fieldSelector: "spec.nodeName=n1",
    parse: parseAny,
    onChange: ({ metadata }, before) =>
      seen.push(`${before === undefined ? "new" : "changed"} ${metadata.name}`),
    onRemove: ({ metadata }) => seen.push(`gone ${metadata.name}`),
  });
  await until(() => watch.isSynced);
  expect(seen).toEqual(["new before"]);
  await admin.create(pods, pod("after", "n1"));
  await admin.merge(`${pods}/after`, { metadata: { labels: { more: "yes" } } });
  await admin.remove(`${pods}/before?gracePeriodSeconds=0`);
  await until(() => seen.includes("gone before"));
  // Being removed is a change too, when it is seen.
  expect(seen.filter((line) => line !== "changed before")).toEqual([
    "new before",
    "new after",
    "changed after",
    "gone before",
  ]);

  await server.kill();
  await until(() => watch.failure !== undefined);
  expect([...watch.items.values()].map(({ metadata }) => metadata.name)).toEqual(["after"]);
  // The store goes on meanwhile, so that the server that comes back no longer knows the watch's version.
  const bytes = Buffer.from("moved").toString("base64");
  const body = JSON.stringify({ key: bytes, value: bytes });
  expect((await fetch(`${server.etcd.url}/v3/kv/put`, { method: "POST", body })).status).toBe(200);
  await server.start();
  await admin.create(pods, pod("later", "n1"));
  await until(() => seen.includes("new later"));
  expect(watch.failure).toBeUndefined();
  expect(watch.counts).toMatchObject({ expired: 1, lists: 2 });
  expect(seen.filter((line) => line.endsWith("after"))).toEqual(["new after", "changed after"]);
  for (const each of ["after", "later", "elsewhere"])
    await admin.remove(`${pods}/${each}?gracePeriodSeconds=0`);
  await until(() => watch.items.size === 0);
});

test("Server-side apply owns its fields, leaves those of others, and says what is refused", async () => {
  const { admin } = server;
  const path = "/api/v1/namespaces/default/configmaps/applied";
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" } };
  await client.apply({ path, object: { ...object, data: { mine: "1", both: "1" } } }, parseAny, signal);
  await admin.merge(path, { data: { theirs: "2" } });
  await client.apply({ path, object: { ...object, data: { mine: "3" } } }, parseAny, signal);
  const now: { data: Record<string, string> } = await admin.get(path);
  expect(now.data).toEqual({ mine: "3", theirs: "2" });
  await expect(
    client.apply({ path, object: { ...object, data: { theirs: "4" } }, force: false }, parseAny, signal),
  ).rejects.toSatisfy((error) => isAeonError(error, "KUBE_CONFLICT"));
  await expect(
    client.apply({ path, object: { ...object, data: { bad: 5 } } }, parseAny, signal),
  ).rejects.toSatisfy((error) => isAeonError(error));
  await client.remove(path, signal);
  await client.remove(path, signal);
  expect(await client.get(path, anything, signal)).toBeUndefined();
});

test("Errors of the API server have their codes", async () => {
  await using nobody = await connect(await server.kubeconfigOf("nobody"));
  const failure = await nobody.get(pods, anything, signal).catch((error: unknown) => error);
  expect(isAeonError(failure, "KUBE_FORBIDDEN") && failure.message).toContain("nobody");
  await using watch = nobody.watch({ path: "/api/v1/pods", parse: parseAny });
  await until(() => watch.failure?.includes("forbidden") === true);
  const missing = await client
    .create("/apis/none.example/v1/things", {}, anything, signal)
    .catch((error: unknown) => error);
  expect(isAeonError(missing, "KUBE_NOT_FOUND")).toBe(true);
  await using away = await connectTo("https://127.0.0.1:1");
  const unreachable = await away.get("/api", anything, signal).catch((error: unknown) => error);
  expect(isAeonError(unreachable, "KUBE_UNREACHABLE")).toBe(true);
});

async function connectTo(url: string): Promise<KubeClient> {
  const path = `${server.folder}/away.conf`;
  return connect(await writeKubeconfig(path, { url, caFile: server.caFile, token: "none" }));
}

test("A token is reviewed with its audience, and what was made up is not accepted", async () => {
  const { admin } = server;
  await admin.create("/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "reviewed" } });
  const token = await server.serviceAccountToken("default", "reviewed", { audiences: ["aeon"] });
  expect(await client.tokens.review(token, ["aeon"], signal)).toMatchObject({
    authenticated: true,
    audiences: ["aeon"],
    username: "system:serviceaccount:default:reviewed",
  });
  expect(await client.tokens.review(token, ["other"], signal)).toMatchObject({ authenticated: false });
  expect(await client.tokens.review("a.b.c", ["aeon"], signal)).toMatchObject({ authenticated: false });
  const old = await expiredToken(token, server.signingKeyFile);
  expect(await client.tokens.review(old, ["aeon"], signal)).toMatchObject({
    authenticated: false,
    reason: expect.stringContaining("expired"),
  });
});

test("A lease is made and renewed in one write each; a repeated event is counted in one object", async () => {
  const { admin } = server;
  const claim = { namespace: "default", name: "aeon-n1", holder: "n1", seconds: 40 };
  const path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/aeon-n1";
  interface Lease {
    readonly spec: { readonly holderIdentity: string; readonly renewTime: string };
  }
  const before = client.sent.get("PATCH") ?? 0;
  await client.renewLease(claim, signal);
  const first: Lease = await admin.get(path);
  await client.renewLease(claim, signal);
  const second: Lease = await admin.get(path);
  expect((client.sent.get("PATCH") ?? 0) - before).toBe(2);
  expect(first.spec.holderIdentity).toBe("n1");
  expect(second.spec.renewTime > first.spec.renewTime).toBe(true);

  const { metadata } = await admin.create<{ metadata: { uid: string } }>(pods, pod("told", "n1"));
  const about = { apiVersion: "v1", kind: "Pod", namespace: "default", name: "told", uid: metadata.uid };
  const event = { about, type: "Warning", reason: "Waiting", message: "for its files" } as const;
  client.tell(event);
  interface Events {
    readonly items: readonly { readonly count: number; readonly reason: string }[];
  }
  const events = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dtold";
  await admin.until<Events>(events, ({ items }) => items.length === 1);
  client.tell(event);
  const list = await admin.until<Events>(events, ({ items }) => items[0]?.count === 2);
  expect(list.items).toHaveLength(1);
  await admin.remove(`${pods}/told?gracePeriodSeconds=0`);
});
