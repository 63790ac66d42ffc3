import { errorMessage, type BackupId, type ContainerId, type Namespace } from "@aeon/core";
import type { Backup } from "../backup.ts";
import type { CaptureCall, CaptureRequest } from "./live-capturer.ts";

/** One container of a drain: its stored backup, or why there is none. */
export interface DrainedContainer {
  readonly namespace: Namespace;
  readonly containerId: ContainerId;
  readonly backup?: Backup;
  readonly failure?: string;
}

export interface DrainCall {
  readonly signal: AbortSignal;
  readonly onContainer?: (container: DrainedContainer) => void;
}

export interface DrainSummary {
  readonly containers: number;
  /** Containers whose backup is not stored. */
  readonly failed: number;
  /** All backups of this host that are not stored, earlier ones included. */
  readonly pending: number;
}

export interface DrainParts {
  /** The running containers that are kept. */
  readonly kept: () => Promise<readonly Pick<CaptureRequest, "namespace" | "containerId">[]>;
  readonly create: (request: CaptureRequest, call: CaptureCall) => Promise<Backup>;
  readonly watch: (id: BackupId, signal: AbortSignal) => AsyncIterable<Backup>;
  /** Backups that are not stored yet, whoever asked for them. */
  readonly unstored: () => readonly BackupId[];
}

/** Takes backups of everything that is kept and runs, and waits until all is stored or has failed. */
export async function drain(
  { kept, create, watch, unstored }: DrainParts,
  wish: Pick<CaptureRequest, "pause">,
  { signal, onContainer }: DrainCall,
): Promise<DrainSummary> {
  const end = async (id: BackupId): Promise<Backup | undefined> => {
    let last: Backup | undefined;
    for await (const each of watch(id, signal)) last = each;
    return last;
  };
  const one = async (
    request: Pick<CaptureRequest, "namespace" | "containerId">,
  ): Promise<DrainedContainer> => {
    try {
      const { id } = await create({ ...request, ...wish, trigger: "drain" }, { signal });
      const backup = await end(id);
      const failure = backup?.state === "stored" ? undefined : (backup?.failure ?? "it is not stored");
      return { ...request, ...(backup && { backup }), ...(failure !== undefined && { failure }) };
    } catch (error) {
      signal.throwIfAborted();
      return { ...request, failure: errorMessage(error) };
    }
  };
  const drained = await Promise.all(
    (await kept()).map(async ({ namespace, containerId }) => {
      const container = await one({ namespace, containerId });
      onContainer?.(container);
      return container;
    }),
  );
  await Promise.all(unstored().map(end));
  return {
    containers: drained.length,
    failed: drained.filter(({ failure }) => failure !== undefined).length,
    pending: unstored().length,
  };
}
