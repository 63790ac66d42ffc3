// Follows the pods of a node with the agent's client and prints the heap that is left after a collection, in bytes. Usage:
// node --expose-gc follow-node.ts KUBECONFIG NODE
import { silentLogger } from "@aeon/core";
import { connectKubernetes, parseAny } from "@aeon/kube";

const [kubeconfig = "", nodeName = ""] = process.argv.slice(2);
const synced = Promise.withResolvers<void>();
await using client = await connectKubernetes({ kubeconfig, nodeName, environment: {}, log: silentLogger });
await using pods = client.watch({
  path: "/api/v1/pods",
  fieldSelector: `spec.nodeName=${nodeName}`,
  parse: parseAny,
  onSynced: () => synced.resolve(),
});
await synced.promise;
if (gc === undefined) throw new Error("run with --expose-gc");
await gc({ execution: "async", type: "major" });
process.stdout.write(JSON.stringify({ pods: pods.items.size, bytes: process.memoryUsage().heapUsed }));
