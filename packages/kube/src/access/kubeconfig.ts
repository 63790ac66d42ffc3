import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { errorMessage } from "@aeon/core";
import * as v from "valibot";
import { errors } from "../errors.ts";
import type { Access } from "./access.ts";
import { tokenFile } from "./token-file.ts";

const text = v.optional(v.string());
const named = <Schema extends v.GenericSchema>(key: string, schema: Schema) =>
  v.optional(v.array(v.object({ name: v.string(), [key]: schema })), []);

const clusterSchema = v.object({
  server: v.string(),
  "certificate-authority": text,
  "certificate-authority-data": text,
  "insecure-skip-tls-verify": v.optional(v.boolean()),
  "tls-server-name": text,
});
const userSchema = v.object({
  token: text,
  tokenFile: text,
  "client-certificate": text,
  "client-certificate-data": text,
  "client-key": text,
  "client-key-data": text,
  username: text,
  exec: v.optional(v.unknown()),
  "auth-provider": v.optional(v.unknown()),
});
const contextSchema = v.object({ cluster: v.string(), user: v.string() });

const fileSchema = v.object({
  "current-context": v.string(),
  clusters: named("cluster", clusterSchema),
  users: named("user", userSchema),
  contexts: named("context", contextSchema),
});

/**
 * Access by the current context of a kubeconfig: tokens, token files and client certificates. Programs that fetch
 * credentials (`exec`) are for people's machines and refused. Throws `KUBE_CONFIG_INVALID`.
 */
export async function fromKubeconfig(path: string): Promise<Access> {
  const invalid = (why: string, cause?: unknown) =>
    errors.KUBE_CONFIG_INVALID(`kubeconfig ${path}: ${why}`, { cause, details: { path } });
  try {
    // 14 MB of memory that nobody needs who has no kubeconfig.
    const { parse } = await import("yaml");
    const file = v.parse(fileSchema, parse(await readFile(path, "utf8")));
    const context = find(file.contexts, "context", file["current-context"], contextSchema);
    const cluster = find(file.clusters, "cluster", context.cluster, clusterSchema);
    const user = find(file.users, "user", context.user, userSchema);
    return await accessOf(cluster, user, dirname(path));
  } catch (error) {
    throw invalid(errorMessage(error), error);
  }
}

function find<Schema extends v.GenericSchema>(
  list: readonly Record<string, unknown>[],
  key: string,
  name: string,
  schema: Schema,
): v.InferOutput<Schema> {
  const found = list.find((each) => each["name"] === name);
  if (found === undefined) throw new TypeError(`it has no ${key} "${name}"`);
  return v.parse(schema, found[key]);
}

async function accessOf(
  cluster: v.InferOutput<typeof clusterSchema>,
  user: v.InferOutput<typeof userSchema>,
  folder: string,
): Promise<Access> {
  if (user.exec !== undefined || user["auth-provider"] !== undefined || user.username !== undefined)
    throw new TypeError(
      "users need a token, a tokenFile or a client certificate; other ways are not supported",
    );
  const pem = async (data: string | undefined, file: string | undefined): Promise<string | undefined> => {
    if (data !== undefined && data !== "") return Buffer.from(data, "base64").toString("utf8");
    return file === undefined || file === "" ? undefined : readFile(resolve(folder, file), "utf8");
  };
  const ca = await pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const cert = await pem(user["client-certificate-data"], user["client-certificate"]);
  const key = await pem(user["client-key-data"], user["client-key"]);
  const { token } = user;
  const reread = user.tokenFile === undefined ? undefined : tokenFile(resolve(folder, user.tokenFile));
  const bearer = reread ?? (token === undefined ? undefined : async () => token);
  const { "tls-server-name": serverName, "insecure-skip-tls-verify": insecure } = cluster;
  return {
    server: cluster.server,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { serverName }),
    ...(insecure === true && { insecure }),
    ...(cert !== undefined && key !== undefined && { certificate: { cert, key } }),
    ...(bearer !== undefined && { token: bearer }),
  };
}
