import type { Namespace, SnapshotHook, SnapshotKey } from "@aeon/core";
import { mayBeContainer, parseBackendKey } from "./backend-key.ts";
import { insertEntry, removeEntry, updateUpperdir } from "./entry-sql.ts";
import type { EntryStore } from "./entry-store.ts";
import type { Learner } from "./learner.ts";
import { upperdirOf } from "./upperdir.ts";

export interface RegistryHooksOptions {
  readonly store: EntryStore;
  readonly learner: Learner;
  readonly isOurs: (space: Namespace) => boolean;
}

/**
 * How snapshot operations feed the registry. The first hook sees new snapshots before other hooks' post
 * functions, the second forgets removed ones after them. Neither waits for a disk or for containerd.
 */
export function registryHooks({ store, learner, isOurs }: RegistryHooksOptions): SnapshotHook[] {
  const partsOf = (key: SnapshotKey) => {
    const parts = parseBackendKey(key);
    return parts !== undefined && mayBeContainer(parts) && isOurs(parts.namespace) ? parts : undefined;
  };
  const policy = { timeoutMs: 1000, onFailure: "ignore" } as const;
  return [
    {
      ...policy,
      name: "container-registry",
      order: 500,
      async postPrepare({ key }, outcome) {
        const parts = partsOf(key);
        if (!outcome.ok || parts === undefined) return undefined;
        const upperdir = upperdirOf(outcome.reply);
        store.gatherFirst(key, (sql, at) =>
          insertEntry(sql, { key, parts, upperdir, state: "preparing", at }),
        );
        return undefined;
      },
      async postMounts({ key }, outcome, { caller }) {
        const upperdir = outcome.ok ? upperdirOf(outcome.reply) : undefined;
        if (upperdir === undefined || partsOf(key) === undefined) return undefined;
        store.gather(key, (sql, at) => updateUpperdir(sql, key, upperdir, at));
        // While the container is being made its calls carry a lease, and containerd has no record of it yet.
        if (caller.lease === undefined) learner.ask(key);
        return undefined;
      },
    },
    {
      ...policy,
      name: "container-registry-removal",
      order: -500,
      async postRemove({ key }, outcome) {
        const gone = outcome.ok || outcome.error.code === "not-found";
        if (gone && partsOf(key) !== undefined) store.gatherLast(key, (sql, at) => removeEntry(sql, key, at));
        return undefined;
      },
      async postCommit({ key }, outcome) {
        if (outcome.ok && partsOf(key) !== undefined)
          store.gatherLast(key, (sql, at) => removeEntry(sql, key, at));
        return undefined;
      },
    },
  ];
}
