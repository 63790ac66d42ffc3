import { createClusterNetwork, joinCluster, startControlPlane, type Cluster } from "@aeon/testkit";
import { expect, test, vi } from "vitest";
import { startCluster } from "./cluster.ts";
import { inPod, runningPod, statefulSet } from "./workloads.ts";

interface Named {
  readonly items: readonly { readonly metadata: { readonly name: string } }[];
}
const kinds = [
  "/api/v1/namespaces",
  "/api/v1/nodes",
  "/apis/apps/v1/statefulsets",
  "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
  "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  "/apis/node.k8s.io/v1/runtimeclasses",
] as const;

const contentOf = async ({ admin }: Cluster): Promise<readonly (readonly string[])[]> =>
  Promise.all(
    kinds.map(async (path) => (await admin.get<Named>(path)).items.map(({ metadata }) => metadata.name)),
  );

test("KUBECONFIG names a cluster that is there already: it gets nodes, is used, and is left as it was", async () => {
  await using network = await createClusterNetwork();
  await using there = await startControlPlane({ address: network.gateway });
  const before = await contentOf(there);
  vi.stubEnv("KUBECONFIG", there.kubeconfig);
  {
    await using cluster = await startCluster();
    expect(cluster.own).toBeUndefined();
    await cluster.addNode("node-a");
    await cluster.server.admin.create(
      "/apis/apps/v1/namespaces/default/statefulsets",
      statefulSet({ name: "guest" }),
    );
    const first = await runningPod(cluster, "guest-0");
    await inPod(cluster, "guest-0", "echo kept > /root/kept");
    await cluster.server.admin.remove("/api/v1/namespaces/default/pods/guest-0");
    await runningPod(cluster, "guest-0", first.metadata.uid);
    expect(await inPod(cluster, "guest-0", "cat /root/kept")).toBe("kept\n");
    await expect(joinCluster(there.kubeconfig)).rejects.toThrow("has nodes (node-a)");
  }
  await there.admin.untilGone("/api/v1/namespaces/aeon-system");
  expect(await contentOf(there)).toEqual(before);
});
