import { readFileSync } from "node:fs";

/** Where pods have their tokens: projected for aeon, else the one for the API server. */
export const tokenFiles: readonly string[] = [
  "/var/run/secrets/aeon/token",
  "/var/run/secrets/tokens/aeon",
  "/var/run/secrets/kubernetes.io/serviceaccount/token",
];

/** Reads the pod's token anew, since it is replaced while the pod runs; undefined without one. */
export function readToken(named: string | undefined): string | undefined {
  for (const file of named === undefined ? tokenFiles : [named])
    try {
      return readFileSync(file, "utf8").trim();
    } catch (error) {
      if (named !== undefined) throw error;
    }
  return undefined;
}
