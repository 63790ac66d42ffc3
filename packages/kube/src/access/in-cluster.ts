import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errors } from "../errors.ts";
import type { Access } from "./access.ts";
import { tokenFile } from "./token-file.ts";

const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Access by the ServiceAccount of the pod that this process runs in. Throws `KUBE_CONFIG_INVALID` outside of one. */
export async function inCluster(environment: NodeJS.ProcessEnv, folder = accountFolder): Promise<Access> {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "443";
  const token = join(folder, "token");
  if (host === undefined || !existsSync(token))
    throw errors.KUBE_CONFIG_INVALID(
      `this is no pod with a ServiceAccount (${host === undefined ? "KUBERNETES_SERVICE_HOST is not set" : `${token} is missing`}); set kubernetes.kubeconfig`,
    );
  const address = host.includes(":") ? `[${host}]` : host;
  const ca = join(folder, "ca.crt");
  return {
    server: `https://${address}:${port}`,
    ...(existsSync(ca) && { ca: await readFile(ca, "utf8") }),
    token: tokenFile(token),
  };
}

/** The namespace of the pod that this process runs in; undefined outside of one. */
export async function ownNamespace(folder = accountFolder): Promise<string | undefined> {
  const text = await readFile(join(folder, "namespace"), "utf8").catch(() => "");
  return text.trim() === "" ? undefined : text.trim();
}
