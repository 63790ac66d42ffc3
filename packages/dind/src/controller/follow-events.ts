import { errorMessage } from "@aeon/core";
import type { Parts } from "./parts.ts";
import type { Reconciler } from "./reconciler.ts";
import type { Reviver } from "./reviver.ts";

/**
 * Acts on what containerd tells of starts and exits, and reconciles when something may have been missed; `reconciled`
 * is told each time.
 */
export async function followEvents(
  parts: Parts,
  reconciler: Reconciler,
  reviver: Reviver,
  reconciled: () => void,
): Promise<void> {
  const { options, signal } = parts;
  const { client, log, isOurs } = options;
  const filters = [`topic=="/tasks/start"`, `topic=="/tasks/exit"`];
  try {
    for await (const event of client.events({ filters, signal })) {
      if (event.kind === "gap") {
        await reconciler
          .all()
          .catch((error: unknown) => log.warn({ error: errorMessage(error) }, "dind: reconciliation failed"));
        reconciled();
        continue;
      }
      if (event.kind === "other" || !isOurs(event.namespace)) continue;
      if (event.topic === "/tasks/start")
        void started(parts, reconciler, event.namespace, event.payload.containerId);
      if (event.topic === "/tasks/exit" && event.payload.id === event.payload.containerId)
        exited(parts, reconciler, reviver, event.namespace, event.payload);
    }
  } catch (error) {
    if (!signal.aborted) log.error({ error: errorMessage(error) }, "dind: events ended");
  }
}

async function started(
  { mains }: Parts,
  reconciler: Reconciler,
  namespace: string,
  id: string,
): Promise<void> {
  const main = { namespace, id };
  const info = await mains.info(main).catch(() => undefined);
  if (info !== undefined) await reconciler.offer(main, info);
}

function exited(
  { records, lives, options }: Parts,
  reconciler: Reconciler,
  reviver: Reviver,
  namespace: string,
  { containerId: id, pid }: { readonly containerId: string; readonly pid: number },
): void {
  const report = (error: unknown): void =>
    options.log.warn(
      { container: id, error: errorMessage(error) },
      "dind: clean-up failed, it is tried again",
    );
  const main = records.get(namespace, id);
  if (main !== undefined) {
    lives.inTurn(main, (live) => reconciler.one(main, live)).catch(report);
    return;
  }
  const dead = records
    .list()
    .find((record) => record.namespace === namespace && lives.of(record).places.container === id);
  // What is told late may be of one that was replaced long ago.
  if (dead !== undefined && lives.of(dead).pid === pid) void reviver.revive(dead).catch(report);
}
