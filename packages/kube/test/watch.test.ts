import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { silentLogger } from "@aeon/core";
import { connectKubernetes, parseAny } from "@aeon/kube";
import { temporaryFolder, writeKubeconfig } from "@aeon/testkit";
import { expect, test } from "vitest";

const object = (name: string, version: number) => ({
  metadata: { name, uid: `uid-${name}`, resourceVersion: String(version) },
});
const page = (version: number, names: readonly string[], next = "") => ({
  metadata: { resourceVersion: String(version), continue: next },
  items: names.map((name) => object(name, version)),
});
const event = (type: string, body: unknown): string => `${JSON.stringify({ type, object: body })}\n`;

/** A server that answers each request as the next step says, for what a real one cannot be made to do at will. */
async function scripted(steps: readonly ((response: ServerResponse) => void)[]) {
  const asked: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    asked.push(new URL(request.url ?? "/", "http://local").searchParams);
    const step = steps[asked.length - 1];
    if (step !== undefined) step(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return {
    asked,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

const answer = (body: unknown) => (response: ServerResponse) => void response.end(JSON.stringify(body));

test("A watch goes on from bookmarks, lists again after 410, and after a line it cannot read", async () => {
  await using folder = await temporaryFolder();
  await using server = await scripted([
    answer(page(5, ["a"], "next")),
    answer(page(5, ["b"])),
    (response) => {
      response.write(event("ADDED", object("c", 6)));
      response.write(event("BOOKMARK", object("", 90)));
      // An object without a uid is counted and passed over.
      response.end(event("ADDED", { metadata: { name: "odd" } }));
    },
    (response) => void response.end(event("ERROR", { code: 410, reason: "Expired", message: "too old" })),
    answer(page(100, ["a", "c"])),
    (response) => void response.end("{ no json\n"),
    answer(page(101, ["a", "c"])),
    (response) => void response.write(event("DELETED", object("a", 102))),
  ]);
  const kubeconfig = await writeKubeconfig(`${folder.path}/config`, {
    url: server.url,
    caFile: "/dev/null",
    token: "t",
  });
  await using client = await connectKubernetes({
    kubeconfig,
    nodeName: "n1",
    environment: {},
    log: silentLogger,
  });
  const seen: string[] = [];
  await using watch = client.watch({
    path: "/api/v1/things",
    parse: parseAny,
    onChange: ({ metadata }, before) =>
      seen.push(`${before === undefined ? "new" : "changed"} ${metadata.name}`),
    onRemove: ({ metadata }) => seen.push(`gone ${metadata.name}`),
  });
  const deadline = performance.now() + 30_000;
  while (!seen.includes("gone a") && performance.now() < deadline) await delay(20);
  expect(seen).toEqual([
    "new a",
    "new b",
    "new c",
    "changed a",
    "changed c",
    "gone b",
    "changed a",
    "changed c",
    "gone a",
  ]);
  expect(server.asked.map((query) => query.get("resourceVersion"))).toEqual([
    "0",
    null,
    "5",
    "90",
    null,
    "100",
    "0",
    "101",
  ]);
  expect(server.asked[1]?.get("continue")).toBe("next");
  expect(watch.counts).toMatchObject({ bookmarks: 1, expired: 1, lists: 3, unreadable: 2 });
});
