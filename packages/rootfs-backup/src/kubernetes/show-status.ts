import { errorMessage, isAeonError } from "@aeon/core";
import { parseAny, type Kubernetes } from "@aeon/kube";
import { apiVersion, backupPath } from "./api.ts";

export interface ShownStatus {
  readonly namespace: string;
  readonly name: string;
  readonly status: object;
  /** Owner of the fields; the agent when absent. */
  readonly manager?: string;
}

/** API servers answer so, some of them as if it were their own failure, for a field that a definition lacks. */
const isUnknownField = (error: unknown): boolean =>
  isAeonError(error, "KUBE_REFUSED") || errorMessage(error).includes("not declared in schema");

/** Writes the status of a RootfsBackup; of one whose definition is older than this agent, what that knows. */
export async function showStatus(
  kubernetes: Kubernetes,
  { namespace, name, status, manager }: ShownStatus,
  signal: AbortSignal,
): Promise<void> {
  const path = `${backupPath(namespace, name)}/status`;
  const object = { apiVersion, kind: "RootfsBackup", metadata: { name }, status };
  try {
    await kubernetes.apply({ path, object, ...(manager !== undefined && { manager }) }, parseAny, signal);
  } catch (error) {
    if (!isUnknownField(error)) throw error;
    // A merge leaves out what is not known.
    await kubernetes.merge(path, { status }, signal);
  }
}
