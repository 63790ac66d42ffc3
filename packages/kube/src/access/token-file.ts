import { readFile } from "node:fs/promises";
import { errorMessage } from "@aeon/core";
import { errors } from "../errors.ts";

/** The kubelet renews tokens long before they end; a minute is what Kubernetes' own clients take. */
const rereadMs = 60_000;

/** Reads a token from a file, again after a minute. Goes on with the last one while the file cannot be read. */
export function tokenFile(path: string): () => Promise<string> {
  let last: { readonly token: string; readonly at: number } | undefined;
  return async () => {
    if (last !== undefined && performance.now() - last.at < rereadMs) return last.token;
    try {
      const token = (await readFile(path, "utf8")).trim();
      last = { token, at: performance.now() };
      return token;
    } catch (error) {
      if (last !== undefined) return last.token;
      throw errors.KUBE_CONFIG_INVALID(`token ${path} cannot be read: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  };
}
