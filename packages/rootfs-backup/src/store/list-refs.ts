import { errors } from "../errors.ts";
import type { ObjectKey, ObjectStore } from "../objects/object-store.ts";
import type { BackupRef } from "./backup-ref.ts";
import { concurrently } from "./concurrently.ts";
import { layout } from "./layout.ts";
import { readRef, tenantFolders } from "./names.ts";

/** Names read at the same time. */
const width = 8;

/** Narrows a list; a workload needs its tenant, a container its workload. */
export interface ListFilter {
  readonly tenant?: string;
  readonly workload?: string;
  readonly container?: string;
  /** Told of names that cannot be read, which are left out; without it the list rejects at the first. */
  readonly onDamaged?: (key: ObjectKey, error: unknown) => void;
}

/** The names of the backups that a filter admits; see BackupStore. */
export async function* listRefs(
  objects: ObjectStore,
  filter: ListFilter,
  signal: AbortSignal,
): AsyncGenerator<BackupRef, void> {
  const { tenant } = filter;
  const folders = tenant === undefined ? await tenantFolders(objects, signal) : [layout.tenant(tenant)];
  for (const folder of folders)
    yield* refsBelow(objects, folder, prefixOf(folder, filter), signal, filter.onDamaged);
}

/** The names below a folder of a tenant. */
export async function* refsBelow(
  objects: ObjectStore,
  folder: string,
  prefix: string,
  signal: AbortSignal,
  onDamaged?: ListFilter["onDamaged"],
): AsyncGenerator<BackupRef, void> {
  const read = async (key: ObjectKey): Promise<BackupRef | undefined> => {
    try {
      return await readRef(objects, key, folder, signal);
    } catch (error) {
      if (onDamaged === undefined || signal.aborted) throw error;
      onDamaged(key, error);
      return undefined;
    }
  };
  for await (const ref of concurrently(refKeys(objects, prefix, signal), width, read))
    if (ref !== undefined) yield ref;
}

function prefixOf(folder: string, { tenant, workload, container }: ListFilter): string {
  if (workload === undefined && container === undefined) return layout.workloads(folder);
  if (tenant === undefined || workload === undefined)
    throw errors.LIST_FILTER_INVALID("a workload needs its tenant, and a container its workload");
  if (container === undefined) return layout.workload(folder, workload);
  return layout.refs({ tenant, workload, container });
}

async function* refKeys(
  objects: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ObjectKey, void> {
  for await (const { key } of objects.list(prefix, signal)) if (key.includes("/refs/")) yield key;
}
