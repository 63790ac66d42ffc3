import { encodeSegment } from "../objects/object-key.ts";
import type { ObjectKey } from "../objects/object-store.ts";
import type { ChainKey } from "./chain.ts";
import { hexOf } from "./digest.ts";

type TenantName = string;

/** Holds one folder per tenant. */
export const tenantsPrefix = "t/";

/**
 * Where things are in an object store. A tenant is an OCI image layout; `w` holds the names of its backups by
 * workload, `backups` by id. Tenants are given by their folder, which is the encoded name.
 */
export const layout = {
  tenant: (tenant: string): TenantName => encodeSegment(tenant),
  root: (folder: TenantName): string => `${tenantsPrefix}${folder}/`,
  ociLayout: (folder: TenantName): ObjectKey => `${layout.root(folder)}oci-layout`,
  ociIndex: (folder: TenantName): ObjectKey => `${layout.root(folder)}index.json`,
  blobs: (folder: TenantName): string => `${layout.root(folder)}blobs/sha256/`,
  blob: (folder: TenantName, digest: string): ObjectKey => `${layout.blobs(folder)}${hexOf(digest)}`,
  pointers: (folder: TenantName): string => `${layout.root(folder)}backups/`,
  pointer: (folder: TenantName, id: string): ObjectKey => `${layout.pointers(folder)}${id}.json`,
  pins: (folder: TenantName): string => `${layout.root(folder)}pins/`,
  pin: (folder: TenantName, id: string): ObjectKey => `${layout.pins(folder)}${id}.json`,
  /** What containers of nodes run on. */
  holds: (folder: TenantName): string => `${layout.root(folder)}holds/`,
  hold: (folder: TenantName, writer: string): ObjectKey =>
    `${layout.holds(folder)}${encodeSegment(writer)}/HELD.json`,
  /** What is being published, so that nobody sweeps it away. */
  intents: (folder: TenantName): string => `${layout.root(folder)}publishing/`,
  /** Removed backups, for as long as their data stays. */
  removals: (folder: TenantName): string => `${layout.root(folder)}removed/`,
  removal: (folder: TenantName, id: string): ObjectKey => `${layout.removals(folder)}${id}.json`,
  /** Sweeps under way. */
  sweeps: (folder: TenantName): string => `${layout.root(folder)}sweeps/`,
  workloads: (folder: TenantName): string => `${layout.root(folder)}w/`,
  workload: (folder: TenantName, workload: string): string =>
    `${layout.workloads(folder)}${encodeSegment(workload)}/`,
  chain: ({ tenant, workload, container }: ChainKey): string =>
    `${layout.workload(layout.tenant(tenant), workload)}${encodeSegment(container)}/`,
  head: (chain: ChainKey): ObjectKey => `${layout.chain(chain)}HEAD.json`,
  refs: (chain: ChainKey): string => `${layout.chain(chain)}refs/`,
  ref: (chain: ChainKey, seq: number, id: string): ObjectKey =>
    `${layout.refs(chain)}${String(seq).padStart(8, "0")}-${id}.json`,
} as const;

/** The last segment of a key without `.json`. */
export const nameIn = (key: ObjectKey): string => key.slice(key.lastIndexOf("/") + 1).replace(/\.json$/, "");
