import type { EncryptionKey } from "../../archive/encryption-key.ts";
import type { LayerBlob } from "../../archive/layer-file.ts";
import { openStore } from "../../inspect/open-store.ts";
import type { ReadBlob } from "../../inspect/read-blob.ts";
import { verifyLayer } from "../../inspect/verify/verify-layer.ts";
import { TokenBucket } from "../../queue/token-bucket.ts";

export interface VerifyInStoreRequest {
  /** The table of the store's configuration, as JSON. */
  readonly store: string;
  readonly tenant: string;
  readonly layer: LayerBlob;
  /** To find the one that an encrypted layer needs. */
  readonly keys?: readonly EncryptionKey[] | undefined;
  /** Bytes per second to read at most. */
  readonly rate: number;
}

/**
 * Reads a layer of a store at a bounded rate and gives how many bytes that were. Rejects as verifyLayer does, and with
 * why the store cannot be read.
 */
export async function verifyInStore({
  store: table,
  tenant,
  layer,
  keys,
  rate,
}: VerifyInStoreRequest): Promise<number> {
  await using opened = await openStore({ table });
  const { signal } = new AbortController();
  const pace = new TokenBucket(rate).take;
  let bytes = 0;
  const read: ReadBlob = async (blob, range) => {
    await pace(range.length, signal);
    bytes += range.length;
    return opened.store.readBlob(tenant, blob, range, signal);
  };
  await verifyLayer(read, layer, { keys, signal });
  return bytes;
}
