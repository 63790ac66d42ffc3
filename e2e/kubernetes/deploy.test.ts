import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { ApiClient, Cluster } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster } from "./cluster.ts";
import { kustomize, manifestsOf } from "./install.ts";
import { renderChart } from "./render-chart.ts";

const deploy = join(import.meta.dirname, "../../deploy");
let server: Cluster;
beforeAll(async () => {
  ({ server } = await openCluster());
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
});

type Manifest = ReturnType<typeof manifestsOf>[number];

const byName = (manifests: readonly Manifest[]): Record<string, unknown> =>
  Object.fromEntries(manifests.map((manifest) => [`${manifest.kind}/${manifest.metadata.name}`, manifest]));

const apply = (text: string): Promise<string> => server.kubectl(["apply", "--server-side", "-f", "-"], text);

test("Each manifest is YAML in which no key comes twice", async () => {
  const files = (await readdir(deploy, { recursive: true })).filter(
    (name) => name.endsWith(".yaml") && !name.includes("templates/"),
  );
  expect(files.length).toBeGreaterThan(15);
  for (const name of files) {
    const documents = parseAllDocuments(await readFile(join(deploy, name), "utf8"));
    expect({ name, errors: documents.flatMap(({ errors }) => errors) }).toEqual({ name, errors: [] });
  }
});

test("The API server takes the manifests as they are, and again without a change", async () => {
  const base = await kustomize("base");
  const applied = await apply(base);
  expect(applied.trim().split("\n")).toHaveLength(manifestsOf(base).length);
  const versions = (): Promise<string> =>
    server.kubectl(["get", "daemonset,configmap,role,networkpolicy", "-n", "aeon-system", "-o", "name"]);
  const before = await versions();
  await apply(base);
  expect(await versions()).toBe(before);
  // The controller made its pods' template valid: one pod for each node, and there is no node.
  await server.admin.until<{ status: { observedGeneration?: number } }>(
    "/apis/apps/v1/namespaces/aeon-system/daemonsets/aeon-agent",
    ({ status }) => status.observedGeneration === 1,
  );
});

test("The chart gives what Kustomize gives, but for the namespace", async () => {
  const chart = manifestsOf(await renderChart(join(deploy, "helm/aeon"), "aeon-system"));
  // Those that Helm takes from `crds/` unrendered, or makes by itself.
  const apart = new Set(["Namespace", "CustomResourceDefinition"]);
  const base = manifestsOf(await kustomize("base")).filter(({ kind }) => !apart.has(kind));
  expect(byName(chart)).toEqual(byName(base));
});

test("The chart goes into another namespace with its monitoring", async () => {
  await server.admin.create("/api/v1/namespaces", { metadata: { name: "elsewhere" } });
  for (const [plural, kind] of [
    ["podmonitors", "PodMonitor"],
    ["prometheusrules", "PrometheusRule"],
  ] as const)
    await apply(JSON.stringify(operatorResource(plural, kind)));
  await server.kubectl(["wait", "--for=condition=Established", "crd", "--all"]);
  const rendered = await renderChart(join(deploy, "helm/aeon"), "elsewhere", {
    monitoring: { enabled: true },
  });
  const manifests = manifestsOf(rendered);
  expect(manifests.filter(({ metadata }) => metadata.namespace === "aeon-system")).toEqual([]);
  await server.kubectl(["delete", "clusterrolebinding", "aeon-agent"]);
  const applied = await apply(rendered);
  expect(applied.trim().split("\n")).toHaveLength(manifests.length);
  expect(byName(manifests)).toMatchObject(
    Object.fromEntries(
      manifestsOf(await kustomize("monitoring")).map(({ kind, metadata }) => [
        `${kind}/${metadata.name}`,
        { kind },
      ]),
    ),
  );
  await apply(await kustomize("base"));
});

test("The agent's account may do what the agent does and nothing else", async () => {
  const agent = server.admin.as(await server.serviceAccountToken("aeon-system", "aeon-agent"));
  const status = async (
    method: string,
    path: string,
    body?: unknown,
    client: ApiClient = agent,
  ): Promise<number> => (await client.request(method, path, body)).status;

  expect(await status("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Da")).toBe(200);
  const review = { spec: { token: "forged", audiences: ["aeon"] } };
  expect(await status("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)).toBe(201);
  const lease = { metadata: { name: "node-a" }, spec: { holderIdentity: "node-a" } };
  expect(await status("POST", "/apis/coordination.k8s.io/v1/namespaces/aeon-system/leases", lease)).toBe(201);
  const event = {
    metadata: { name: "e", namespace: "default" },
    involvedObject: { kind: "Pod", name: "p", namespace: "default" },
    type: "Normal",
    reason: "Restored",
    message: "m",
  };
  expect(await status("POST", "/api/v1/namespaces/default/events", event)).toBe(201);

  const forbidden = [
    ["GET", "/api/v1/secrets"],
    ["GET", "/api/v1/namespaces/aeon-system/secrets"],
    ["GET", "/api/v1/configmaps"],
    ["GET", "/api/v1/nodes"],
    ["DELETE", "/api/v1/namespaces/default/pods/p"],
    ["POST", "/api/v1/namespaces/default/pods/p/exec"],
    ["POST", "/api/v1/namespaces/default/pods"],
    ["POST", "/api/v1/namespaces/aeon-system/serviceaccounts/aeon-agent/token"],
    ["POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"],
    ["POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"],
    ["DELETE", "/apis/backup.container.io/v1alpha1/namespaces/default/rootfsbackuppolicies/p"],
  ] as const;
  for (const [method, path] of forbidden)
    expect({ path, status: await status(method, path, method === "POST" ? {} : undefined) }).toEqual({
      path,
      status: 403,
    });
});

test("The example workloads are taken", async () => {
  expect(await apply(await kustomize("examples"))).toContain("statefulset.apps/workshop serverside-applied");
});

/** The Prometheus operator's resource as far as the API server has to know it. */
const operatorResource = (plural: string, kind: string) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.monitoring.coreos.com` },
  spec: {
    group: "monitoring.coreos.com",
    scope: "Namespaced",
    names: { plural, kind },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});
