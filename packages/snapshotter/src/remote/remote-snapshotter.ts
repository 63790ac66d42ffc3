import {
  isAeonError,
  type CallContext,
  type CleanupRequest,
  type CommitRequest,
  type KeyRequest,
  type Labels,
  type ListRequest,
  type Mount,
  type PrepareRequest,
  type SnapshotInfo,
  type Snapshotter,
  type SnapshotUsage,
  type UpdateRequest,
} from "@aeon/core";
import { createGrpcClient, GrpcChannel, type CallOptions, type GrpcClient } from "@aeon/containerd";
import { snapshots } from "@aeon/proto";
import { infoFromWire, mountsFromWire } from "./convert.ts";

export interface RemoteSnapshotterOptions {
  /** Absolute path of the socket that serves `containerd.services.snapshots.v1.Snapshots`. */
  readonly address: string;
  /** Name sent with each request; containerd's API picks the snapshotter by it, proxy snapshotters ignore it. */
  readonly name: string;
  /**
   * Set when the socket is a whole containerd rather than a bare snapshotter: every call is made in this
   * namespace instead of the caller's, without the caller's lease (unknown over there), and each snapshot
   * is labelled as a garbage-collection root, because nothing in that containerd refers to it.
   */
  readonly containerdNamespace?: string;
}

const gcRoot = "containerd.io/gc.root";

/**
 * Forwards every operation to a snapshotter behind a Unix socket. Connects when first needed and again after the
 * server comes back; meanwhile calls fail with `unavailable`. A server without Cleanup counts as clean.
 */
export function openRemoteSnapshotter(options: RemoteSnapshotterOptions): Snapshotter {
  return new RemoteSnapshotter(options);
}

class RemoteSnapshotter implements Snapshotter {
  readonly #channel: GrpcChannel;
  readonly #client: GrpcClient<typeof snapshots.Snapshots>;
  readonly #snapshotter: string;
  readonly #namespace: string | undefined;

  constructor({ address, name, containerdNamespace }: RemoteSnapshotterOptions) {
    // A local server is back within milliseconds of its restart, so waiting long between attempts gains nothing.
    const channelOptions = { "grpc.max_reconnect_backoff_ms": 500 };
    this.#channel = new GrpcChannel({ address, channelOptions });
    this.#client = createGrpcClient(snapshots.Snapshots, this.#channel);
    this.#snapshotter = name;
    this.#namespace = containerdNamespace;
  }

  async prepare({ key, parent, labels }: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    const request = { ...this.#base, key, parent: parent ?? "", labels: this.#kept(labels) };
    return mountsFromWire((await this.#client.prepare(request, this.#options(context))).mounts);
  }

  async view({ key, parent, labels }: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    const request = { ...this.#base, key, parent: parent ?? "", labels: this.#kept(labels) };
    return mountsFromWire((await this.#client.view(request, this.#options(context))).mounts);
  }

  async mounts({ key }: KeyRequest, context: CallContext): Promise<readonly Mount[]> {
    return mountsFromWire((await this.#client.mounts({ ...this.#base, key }, this.#options(context))).mounts);
  }

  async commit({ name, key, labels, parent }: CommitRequest, context: CallContext): Promise<void> {
    const request = { ...this.#base, name, key, labels: this.#kept(labels), parent: parent ?? "" };
    await this.#client.commit(request, this.#options(context));
  }

  async remove({ key }: KeyRequest, context: CallContext): Promise<void> {
    await this.#client.remove({ ...this.#base, key }, this.#options(context));
  }

  async stat({ key }: KeyRequest, context: CallContext): Promise<SnapshotInfo> {
    const { info } = await this.#client.stat({ ...this.#base, key }, this.#options(context));
    return this.#shown(infoFromWire(info, `Stat of ${key}`));
  }

  async update({ name, labels, paths }: UpdateRequest, context: CallContext): Promise<SnapshotInfo> {
    const replacesAll = paths.length === 0 || paths.includes("labels");
    const request = {
      ...this.#base,
      info: { name, labels: replacesAll ? this.#kept(labels) : { ...labels } },
      ...(paths.length > 0 && { updateMask: { paths: [...paths] } }),
    };
    const { info } = await this.#client.update(request, this.#options(context));
    return this.#shown(infoFromWire(info, `Update of ${name}`));
  }

  async list({ filters }: ListRequest, context: CallContext): Promise<AsyncIterable<SnapshotInfo>> {
    return this.#infos(filters, context);
  }

  async usage({ key }: KeyRequest, context: CallContext): Promise<SnapshotUsage> {
    const { size, inodes } = await this.#client.usage({ ...this.#base, key }, this.#options(context));
    return { size, inodes };
  }

  async cleanup(_: CleanupRequest, context: CallContext): Promise<void> {
    try {
      await this.#client.cleanup(this.#base, this.#options(context));
    } catch (error) {
      if (!isAeonError(error, "unimplemented")) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel[Symbol.dispose]();
  }

  get #base(): { snapshotter: string } {
    return { snapshotter: this.#snapshotter };
  }

  async *#infos(filters: readonly string[], context: CallContext): AsyncGenerator<SnapshotInfo> {
    const batches = this.#client.list({ ...this.#base, filters: [...filters] }, this.#options(context));
    for await (const { info } of batches)
      for (const each of info) yield this.#shown(infoFromWire(each, "List"));
  }

  #options({ caller, signal }: CallContext): CallOptions {
    return { signal, metadata: this.#namespace === undefined ? caller : { namespace: this.#namespace } };
  }

  #kept(labels: Labels): Record<string, string> {
    if (this.#namespace === undefined) return { ...labels };
    return { ...labels, [gcRoot]: labels[gcRoot] ?? new Date().toISOString() };
  }

  #shown(info: SnapshotInfo): SnapshotInfo {
    if (this.#namespace === undefined) return info;
    const { [gcRoot]: _, ...labels } = info.labels;
    return { ...info, labels };
  }
}
