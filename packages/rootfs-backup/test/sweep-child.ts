// One of several nodes on a store: publishes, removes and sweeps without pause, with layers that come and go and come
// again. Everything it published must be whole right after. Usage: sweep-child.ts STORE NODE MILLISECONDS GRACE.
import { backupId, isAeonError, silentLogger } from "@aeon/core";
import { backupStore, posixObjects } from "../src/index.ts";
import { draftOf, layerOf, putLayer } from "./make-backup.ts";

const [path = "", node = "", time = "0", grace = "0"] = process.argv.slice(2);
const { signal } = new AbortController();
await using store = backupStore({ objects: posixObjects({ path, writer: node }), log: silentLogger });
const pick = (count: number): number => Math.floor(Math.random() * count);
const counts = { published: 0, again: 0, removed: 0, swept: 0 };

async function publish(round: number): Promise<void> {
  const id = `${node}-${round}`;
  const contents = Array.from({ length: 1 + pick(3) }, () => `content ${pick(6)}`);
  const layers = contents.map((content) => layerOf(content, "default", id));
  const head = await store.head({ tenant: "default", workload: `w${round % 3}`, container: "main" }, signal);
  for (;;)
    try {
      for (const [index, layer] of layers.entries()) await putLayer(store, layer, contents[index] ?? "");
      const parent = head?.tip?.backup;
      const made = { workload: `w${round % 3}`, node, createdAt: BigInt(Date.now()) * 1_000_000n };
      await store.putBackup(
        draftOf(id, layers, { ...made, ...(parent !== undefined && { parent }) }),
        signal,
      );
      break;
    } catch (error) {
      if (!isAeonError(error, "LAYER_MISSING")) throw error;
      counts.again += 1;
    }
  counts.published += 1;
  const stored = await store.getBackup(backupId(id), signal);
  if (stored === undefined) throw new Error(`${id} is gone right after it was published`);
  for (const layer of stored.document.layers) {
    await using _ = await store.openLayer(layer, signal);
  }
}

async function removeSome(): Promise<void> {
  for await (const { id } of store.list({ onDamaged: () => {} }, signal))
    if (id.startsWith(node) && pick(2) === 0) {
      await store.removeBackup(backupId(id), signal);
      counts.removed += 1;
    }
}

const end = Date.now() + Number(time);
const sweeping = (async () => {
  while (Date.now() < end) {
    const { blobs } = await store.sweep({ signal, graceMs: Number(grace) });
    counts.swept += blobs;
  }
})();
for (let round = 0; Date.now() < end; round += 1) {
  await publish(round);
  if (round % 5 === 4) await removeSome();
}
await sweeping;
process.stdout.write(JSON.stringify(counts));
