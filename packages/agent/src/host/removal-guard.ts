import { isAeonError, type SnapshotHook } from "@aeon/core";
import { errors } from "../errors.ts";

/**
 * Refuses to remove writable snapshots while a plugin that might have to keep their content is not running.
 * containerd's garbage collector skips them and tries again; containers start and stop as usual.
 */
export function removalGuard(missing: () => readonly string[]): SnapshotHook {
  return {
    name: "removal-guard",
    order: -900,
    timeoutMs: 5000,
    onFailure: "fail",
    async preRemove({ key }, { backend, caller, signal }) {
      const absent = missing();
      if (absent.length === 0) return undefined;
      try {
        const { kind } = await backend.stat({ key }, { caller, signal });
        if (kind !== "active") return undefined;
      } catch (error) {
        if (isAeonError(error, "not-found")) return undefined;
        throw error;
      }
      throw errors.REMOVAL_DEFERRED(`cannot remove ${key} yet: plugin ${absent.join(", ")} is not running`, {
        details: { key, plugin: absent.join(",") },
      });
    },
  };
}
