import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import { temporaryFolder } from "../temporary-folder.ts";
import { ApiClient } from "./api-client.ts";
import type { Cluster } from "./api-server-types.ts";
import { kubernetesProgram } from "./binaries.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { requestToken } from "./request-token.ts";

/** What `kubectl config view` says of one context. */
interface View {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly "certificate-authority-data"?: string } },
  ];
  readonly users: readonly [
    {
      readonly user: {
        readonly token?: string;
        readonly "client-certificate-data"?: string;
        readonly "client-key-data"?: string;
      };
    },
  ];
}
interface Named {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly uid: string } }[];
}

const accountNamespace = "kube-system";
const workloads = [
  "/apis/apps/v1/namespaces/default/statefulsets",
  "/apis/apps/v1/namespaces/default/deployments",
  "/api/v1/namespaces/default/pods",
] as const;

/**
 * Uses the cluster of a kubeconfig, whose user may do everything there. It has to be without nodes, which the tests add,
 * and without aeon. Disposing leaves it as it was.
 */
export async function joinCluster(path: string): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder("join")).path;
  const kubeconfig = join(folder, "admin.kubeconfig");
  const program = await kubernetesProgram("kubectl");
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const env = { PATH: process.env["PATH"], HOME: join(folder, "home") };
    const given = { env, ...(input !== undefined && { input }) };
    return (await run(program, ["--kubeconfig", kubeconfig, ...args], given)).stdout;
  };
  await writeFile(kubeconfig, await readFile(path), { mode: 0o600 });
  const flat = ["--kubeconfig", path, "config", "view", "--raw", "--minify", "--flatten", "-o", "json"];
  const text = (await run(program, flat)).stdout;
  // JSON is YAML; the copy has no paths that are relative to the first one.
  await writeFile(kubeconfig, text, { mode: 0o600 });
  const view: View = JSON.parse(text);
  const { server: url, "certificate-authority-data": ca = "" } = view.clusters[0].cluster;
  const caFile = join(folder, "ca.crt");
  await writeFile(caFile, Buffer.from(ca, "base64"));
  const admin = new ApiClient({
    url,
    ca: pem(ca),
    ...credentialsOf(view, path),
  });
  await assertEmpty(admin, url);
  const before = new Set((await Promise.all(workloads.map((list) => uidsIn(admin, list)))).flat());
  const accounts: string[] = [];
  stack.defer(() => clean(admin, before, accounts));
  const owned = stack.move();
  return {
    url,
    caFile,
    kubeconfig,
    folder,
    admin,
    isOwn: false,
    kubectl,
    async kubeconfigOf(user) {
      const name = `aeon-${user.replaceAll(/[^a-z0-9]/g, "-")}`;
      accounts.push(name);
      await makeAccount(admin, name);
      const token = await requestToken(admin, accountNamespace, name);
      return writeKubeconfig(join(folder, `${name}.kubeconfig`), { url, caFile, token });
    },
    serviceAccountToken: (namespace, name, options) => requestToken(admin, namespace, name, options),
    async serviceAccountKubeconfig(namespace, name) {
      const token = await requestToken(admin, namespace, name);
      const file = join(folder, `account-${namespace}-${name}.kubeconfig`);
      return writeKubeconfig(file, { url, caFile, token, namespace });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const pem = (data: string): string => Buffer.from(data, "base64").toString();

function credentialsOf({ users: [{ user }] }: View, path: string) {
  const { token, "client-certificate-data": cert, "client-key-data": key } = user;
  if (token !== undefined) return { token };
  if (cert === undefined || key === undefined)
    throw new Error(`the user of ${path} has neither a token nor a client certificate`);
  return { certificate: { cert: pem(cert), key: pem(key) } };
}

async function assertEmpty(admin: ApiClient, url: string): Promise<void> {
  const { items: nodes } = await admin.get<Named>("/api/v1/nodes");
  const { status } = await admin.request("GET", "/apis/backup.container.io");
  const names = nodes.map(({ metadata }) => metadata.name);
  if (names.length > 0 || status !== 404)
    throw new Error(
      `the cluster at ${url} has ${names.length > 0 ? `nodes (${names.join(", ")})` : "aeon's definitions"}; name one by KUBECONFIG without nodes and without aeon`,
    );
}

const uidsIn = async (admin: ApiClient, list: string): Promise<readonly string[]> =>
  (await admin.get<Named>(list)).items.map(({ metadata }) => metadata.uid);

/** A node's kubelet as an administrator: only the cluster's owner can sign what makes it a node of the node authorizer. */
async function makeAccount(admin: ApiClient, name: string): Promise<void> {
  const accounts = `/api/v1/namespaces/${accountNamespace}/serviceaccounts`;
  const { status } = await admin.request("GET", `${accounts}/${name}`);
  if (status === 200) return;
  await admin.create(accounts, { metadata: { name } });
  await admin.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ kind: "ServiceAccount", name, namespace: accountNamespace }],
  });
}

/** Takes away what the tests made and what aeon's manifests make. */
async function clean(
  admin: ApiClient,
  before: ReadonlySet<string>,
  accounts: readonly string[],
): Promise<void> {
  const remove = (path: string) => admin.request("DELETE", path);
  for (const list of workloads)
    for (const { metadata } of (await admin.get<Named>(list)).items)
      if (!before.has(metadata.uid)) await remove(`${list}/${metadata.name}?gracePeriodSeconds=0`);
  for (const { metadata } of (await admin.get<Named>("/api/v1/nodes")).items)
    await remove(`/api/v1/nodes/${metadata.name}`);
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  for (const name of accounts) {
    await remove(`${rbac}/clusterrolebindings/${name}`);
    await remove(`/api/v1/namespaces/${accountNamespace}/serviceaccounts/${name}`);
  }
  for (const kind of ["clusterrolebindings", "clusterroles"]) await remove(`${rbac}/${kind}/aeon-agent`);
  for (const name of ["aeon-system", "elsewhere"]) await remove(`/api/v1/namespaces/${name}`);
  await remove("/apis/node.k8s.io/v1/runtimeclasses/aeon");
  await remove("/apis/scheduling.k8s.io/v1/priorityclasses/aeon-agent");
  const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  for (const { metadata } of (await admin.get<Named>(definitions)).items)
    if (metadata.name.endsWith(".backup.container.io")) {
      await remove(`${definitions}/${metadata.name}`);
      await admin.untilGone(`${definitions}/${metadata.name}`);
    }
}
