import { writeFile } from "node:fs/promises";
import { stringify } from "yaml";

/** Who calls an API server, and where it is. */
export interface Access {
  readonly url: string;
  /** Path of the certificates to trust. */
  readonly caFile: string;
  readonly token: string;
  readonly namespace?: string;
}

/** Writes a kubeconfig with one context, for kubectl, kubelet and every client library. */
export async function writeKubeconfig(path: string, access: Access): Promise<string> {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: access.url, "certificate-authority": access.caFile } }],
    users: [{ name: "test", user: { token: access.token } }],
    contexts: [
      {
        name: "test",
        context: { cluster: "test", user: "test", namespace: access.namespace ?? "default" },
      },
    ],
    "current-context": "test",
  };
  await writeFile(path, stringify(config), { mode: 0o600 });
  return path;
}
