import { setTimeout as delay } from "node:timers/promises";
import { errors } from "../errors.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { chainName, isSameChain, type ChainKey } from "./chain.ts";
import { headSchema, type Head } from "./head.ts";
import { encodeJson, readJson } from "./json-objects.ts";
import { layout } from "./layout.ts";

/** Attempts against other writers before it is taken for a fault. */
const mostAttempts = 50;
/** Milliseconds after which a store without compare-and-swap is asked who won. */
const settleMs = 300;

/** The HEAD of a chain. Rejects with `BACKUP_DAMAGED` when it is another chain's. */
export async function readHead(
  objects: ObjectStore,
  chain: ChainKey,
  signal: AbortSignal,
): Promise<{ readonly head: Head; readonly version: string } | undefined> {
  const key = layout.head(chain);
  const found = await readJson(objects, key, headSchema, signal);
  if (found === undefined) return undefined;
  if (!isSameChain(found.value.chain, chain))
    throw errors.BACKUP_FOREIGN(
      `${key} in ${objects.location} is the HEAD of ${chainName(found.value.chain)}`,
      { details: { key } },
    );
  return { head: found.value, version: found.version };
}

/**
 * Changes the HEAD of a chain by compare-and-swap, as often as others come first; `change` gives the same HEAD, or
 * undefined, when there is nothing to do. Where the store cannot compare, the epoch decides: a HEAD that was
 * overwritten by an older one is written again.
 */
export async function moveHead(
  objects: ObjectStore,
  chain: ChainKey,
  change: (head: Head | undefined) => Head | undefined | Promise<Head | undefined>,
  signal: AbortSignal,
): Promise<Head | undefined> {
  const { compareAndSwap } = await objects.ready(signal);
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const found = await readHead(objects, chain, signal);
    const next = await change(found?.head);
    if (next === undefined || next === found?.head) return next;
    const isReplaced = await objects.replace(layout.head(chain), encodeJson(next), found?.version, signal);
    if (isReplaced && compareAndSwap) return next;
    await delay(compareAndSwap ? Math.random() * 10 * attempt : settleMs, undefined, { signal });
  }
  throw errors.STORE_UNUSABLE(
    `HEAD of ${chainName(chain)} in ${objects.location} was changed by others ${mostAttempts} times in a row`,
    { details: { chain: chainName(chain) } },
  );
}
