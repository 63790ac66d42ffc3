import { leases } from "@aeon/proto";
import type { Labels } from "@aeon/core";
import type { Connection } from "./connection.ts";
import type { CallOptions, GrpcClient } from "./grpc/service-types.ts";
import { nanosOf, required } from "./values.ts";

export interface LeaseInfo {
  readonly id: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly labels: Labels;
}

/** Something a lease holds: content by digest, an ingest by ref, or a snapshot by key. */
export interface LeaseResource {
  readonly id: string;
  /** `content`, `ingests` or `snapshots/<snapshotter>`. */
  readonly type: string;
}

export interface NewLease {
  /** containerd makes one up when absent. */
  readonly id?: string;
  readonly labels?: Labels;
  /** Milliseconds after which containerd may drop the lease; never when absent. */
  readonly expiresIn?: number;
}

/** What the garbage collector must not take, grouped so that it can be let go at once. */
export class Leases {
  readonly #api: GrpcClient<typeof leases.Leases>;

  constructor(connection: Connection) {
    this.#api = connection.service(leases.Leases);
  }

  async create(lease: NewLease = {}, options?: CallOptions): Promise<LeaseInfo> {
    const { id = `aeon-${crypto.randomUUID()}`, labels = {}, expiresIn } = lease;
    const expiry =
      expiresIn === undefined
        ? {}
        : { "containerd.io/gc.expire": new Date(Date.now() + expiresIn).toISOString() };
    const reply = await this.#api.create({ id, labels: { ...labels, ...expiry } }, options);
    return infoOf(required(reply.lease, "lease"));
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<readonly LeaseInfo[]> {
    return (await this.#api.list({ filters: [...filters] }, options)).leases.map(infoOf);
  }

  /** With `sync` the answer comes after the garbage collection that follows. */
  async delete(id: string, how: { readonly sync?: boolean } = {}, options?: CallOptions): Promise<void> {
    await this.#api.delete({ id, sync: how.sync ?? false }, options);
  }

  async add(id: string, resource: LeaseResource, options?: CallOptions): Promise<void> {
    await this.#api.addResource({ id, resource }, options);
  }

  async remove(id: string, resource: LeaseResource, options?: CallOptions): Promise<void> {
    await this.#api.deleteResource({ id, resource }, options);
  }

  async resources(id: string, options?: CallOptions): Promise<readonly LeaseResource[]> {
    const reply = await this.#api.listResources({ id }, options);
    return reply.resources.map(({ id: name, type }) => ({ id: name, type }));
  }
}

const infoOf = ({ id, createdAt, labels }: leases.Lease): LeaseInfo => ({
  id,
  createdAt: nanosOf(createdAt),
  labels,
});

/** Milliseconds for which an unfinished operation of a client that died keeps its resources. */
const leaseMs = 24 * 60 * 60 * 1000;

/** Runs `work` under a lease of its own, unless the connection carries one. */
export async function withLease<T>(
  connection: Connection,
  work: (leased: Connection) => Promise<T>,
  lease: NewLease = {},
): Promise<T> {
  if (connection.caller.lease !== undefined) return work(connection);
  const store = new Leases(connection);
  const { id } = await store.create({ expiresIn: leaseMs, ...lease });
  try {
    return await work(connection.as({ lease: id }));
  } finally {
    // A lease that cannot be deleted now expires; the outcome of the work is what counts.
    await store.delete(id).catch(() => {});
  }
}
