import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BackupDraft, StoredLayer } from "../src/store/backup-document.ts";
import type { BackupStore } from "../src/store/backup-store.ts";
import { digestOf } from "../src/store/digest.ts";

const blob = (text: string) => ({ mediaType: "x", digest: digestOf(text), size: text.length });

/** A layer that no archive is behind: stores do not look into layers. */
export const layerOf = (content: string, tenant: string, backup: string): StoredLayer => ({
  tenant,
  digest: digestOf(content),
  size: content.length,
  diffId: digestOf(`raw ${content}`),
  rawSize: 10,
  entries: 1,
  backup,
  index: blob(`${content} index`),
  toc: blob(`${content} toc`),
});

export interface MadeBackup {
  readonly tenant?: string;
  readonly workload?: string;
  readonly parent?: string;
  readonly node?: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt?: bigint;
  readonly labels?: Readonly<Record<string, string>>;
}

export const draftOf = (id: string, layers: readonly StoredLayer[], made: MadeBackup = {}): BackupDraft => ({
  format: 1,
  id,
  chain: { tenant: made.tenant ?? "default", workload: made.workload ?? "web", container: "main" },
  node: made.node ?? "n1",
  identity: {
    namespace: "default",
    containerId: "c",
    snapshotKey: "default/1/c",
    labels: { a: "b", ...made.labels },
  },
  createdAt: String(made.createdAt ?? 1_700_000_000_000_000_000n),
  trigger: "removed",
  consistency: "exact",
  ...(made.parent !== undefined && { parent: made.parent }),
  layers: [...layers],
  report: { counts: { files: 1 }, deviations: [], deviationCount: 0 },
});

/** Puts the files of a layer with that content. */
export async function putLayer(store: BackupStore, layer: StoredLayer, content: string): Promise<void> {
  const { signal } = new AbortController();
  const file = join(await store.spool(signal), randomBytes(8).toString("hex"));
  const files = { layer: file, index: `${file}.index`, toc: `${file}.toc` };
  await writeFile(files.layer, content);
  await writeFile(files.index, `${content} index`);
  await writeFile(files.toc, `${content} toc`);
  await store.putLayer(files, layer, { signal });
}
