import { expect, test } from "vitest";
import { startApiServer, startControlPlane } from "@aeon/testkit";

test("An API server knows roles, nodes and tokens with audiences, and keeps what it has over a kill", async () => {
  await using server = await startApiServer({ nodes: ["n1"], users: [{ name: "nobody" }] });
  const { admin } = server;
  expect(await server.kubectl(["version", "-o", "json"])).toContain("v1.20");
  const nobody = admin.as(server.tokenOf("nobody"));
  expect((await nobody.request("GET", "/api/v1/pods")).status).toBe(403);
  expect((await admin.as("forged").request("GET", "/api/v1/pods")).status).toBe(401);
  const node = admin.as(server.tokenOf("system:node:n1"));
  expect((await node.request("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).status).toBe(200);

  await admin.create("/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "a" } });
  const token = await server.serviceAccountToken("default", "a", { audiences: ["aeon"] });
  // Meant for somebody else, so the API server itself refuses it.
  expect((await admin.as(token).request("GET", "/api/v1/pods")).status).toBe(401);
  const review = (audiences: readonly string[]): Promise<{ status: Record<string, unknown> }> =>
    admin.create("/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token, audiences } });
  expect((await review(["aeon"])).status).toMatchObject({
    authenticated: true,
    audiences: ["aeon"],
    user: { username: "system:serviceaccount:default:a" },
  });
  expect((await review(["other"])).status["authenticated"]).not.toBe(true);

  await server.kill();
  expect(server.pid).toBeUndefined();
  await server.start();
  expect((await review(["aeon"])).status).toMatchObject({ authenticated: true });
});

test("A control plane runs a Deployment's controllers and removes namespaces", async () => {
  await using cluster = await startControlPlane();
  const { admin } = cluster;
  await admin.create("/api/v1/namespaces", { metadata: { name: "gone" } });
  await admin.until("/api/v1/namespaces/gone/serviceaccounts/default", () => true);
  await cluster.kubectl(["-n", "gone", "create", "deployment", "d", "--image=none"]);
  await admin.until<{ items: unknown[] }>("/api/v1/namespaces/gone/pods", ({ items }) => items.length === 1);
  await admin.remove("/api/v1/namespaces/gone");
  await admin.untilGone("/api/v1/namespaces/gone");
  expect((await admin.request("GET", "/api/v1/namespaces/gone")).status).toBe(404);
});
