import type { HookContext, Labels, Logger, Mount, SnapshotInfo, SnapshotKey } from "@aeon/core";
import type { OverlayNamespace } from "../archive/overlay-xattrs.ts";
import { onImageChangeLabel } from "../capture/labels.ts";
import { errors } from "../errors.ts";
import type { BackupDocument } from "../store/backup-document.ts";
import type { ArchiveWorker } from "../worker/archive-worker.ts";
import type { Conflicts } from "./conflicts.ts";
import { chainIdOf, lowersOf, withImage } from "./image-layers.ts";

/**
 * What happens when a container is not made from the image that its backup was made on. `strict`: it does not start.
 * `rebase`: it gets the files, and conflicts are reported. `fresh`: it starts clean and the backup stays. `auto`: it
 * gets the files when none of them was changed in the image, and does not start otherwise.
 */
export type OnImageChange = "auto" | "strict" | "rebase" | "fresh";

export interface ImageChangeOptions {
  readonly worker: ArchiveWorker;
  readonly otherwise: OnImageChange;
  readonly log: Logger;
}

/** A backup, unpacked, and the container that is to get it. */
export interface Rebase {
  readonly key: SnapshotKey;
  readonly info: SnapshotInfo;
  /** The container's, as the backend gave them. */
  readonly mounts: readonly Mount[];
  readonly backup: Pick<BackupDocument, "id" | "base">;
  /** Folders of the chain, the lowest first. */
  readonly layers: readonly string[];
  readonly overlay: OverlayNamespace;
  /** The container's and its pod's labels, the nearest first. */
  readonly labels: readonly Labels[];
}

export type Verdict =
  | { readonly kind: "apply"; readonly conflicts?: Conflicts }
  | { readonly kind: "fresh"; readonly reason: string };

type Context = Pick<HookContext, "backend" | "caller" | "signal">;

/** Decides what becomes of a backup whose container has another image now. */
export class ImageChange {
  readonly #options: ImageChangeOptions;

  constructor(options: ImageChangeOptions) {
    this.#options = options;
  }

  /** Throws `IMAGE_CHANGED` when the container must not start. */
  async judge(rebase: Rebase, context: Context): Promise<Verdict> {
    const { key, info, backup, labels } = rebase;
    const before = backup.base?.chainId;
    const after = info.parent === undefined ? undefined : chainIdOf(info.parent);
    // Nothing is known of images that were not unpacked by containerd.
    if (before === undefined || after === undefined || before === after) return { kind: "apply" };
    const policy = policyOf(labels) ?? this.#options.otherwise;
    const changed = `backup ${backup.id} was made on image ${before}, and the container of snapshot ${key} has ${after}`;
    if (policy === "fresh") return { kind: "fresh", reason: changed };
    if (policy === "strict")
      throw errors.IMAGE_CHANGED(`${changed}; the policy is strict`, { details: { key, before, after } });
    const conflicts = await this.#conflicts(before, rebase, context);
    if (policy === "rebase") return { kind: "apply", ...(conflicts !== undefined && { conflicts }) };
    if (conflicts === undefined)
      throw errors.IMAGE_CHANGED(
        `${changed}; the old image is not on this node, so nobody can tell which files both changed`,
        { details: { key, before, after } },
      );
    if (conflicts.count > 0)
      throw errors.IMAGE_CHANGED(
        `${changed}; both changed ${conflicts.count} paths: ${conflicts.paths.slice(0, shownPaths).join(", ")}`,
        { details: { key, before, after, conflicts: conflicts.count } },
      );
    return { kind: "apply", conflicts };
  }

  /** Undefined when the old image is not on this node. */
  async #conflicts(
    before: string,
    { mounts, layers, overlay }: Rebase,
    context: Context,
  ): Promise<Conflicts | undefined> {
    const { worker } = this.#options;
    if (layers.length === 0) return { paths: [], count: 0 };
    const after = lowersOf(mounts);
    return await withImage(before, context, (lowers) =>
      worker.conflicts({ layers, overlay, before: lowers, after }, context.signal),
    );
  }
}

/** Paths that are named in an error. */
const shownPaths = 20;

const policies = ["auto", "strict", "rebase", "fresh"] as const;

const policyOf = (labels: readonly Labels[]): OnImageChange | undefined => {
  const said = labels.map((each) => each[onImageChangeLabel]).find((each) => each !== undefined);
  return policies.find((policy) => policy === said);
};
