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
import { openClient, type Client, type SnapshotClient } from "@aeon/containerd";

export interface RemoteSnapshotterOptions {
  /** Absolute path of the socket that serves `containerd.services.snapshots.v1.Snapshots`. */
  readonly address: string;
  /** Name sent with each request; containerd's API picks the snapshotter by it, proxy snapshotters ignore it. */
  readonly name: string;
  /**
   * Set when the socket is a whole containerd rather than a bare snapshotter: every call is made in this
   * namespace instead of the caller's, without the caller's lease (unknown over there), and each snapshot
   * is labelled as a garbage-collection root, because nothing in that containerd refers to it. It must not be
   * the containerd that calls aeon: its Commit would wait for its own database lock.
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
  readonly #client: Client;
  readonly #snapshots: SnapshotClient;
  readonly #namespace: string | undefined;

  constructor({ address, name, containerdNamespace }: RemoteSnapshotterOptions) {
    this.#client = openClient({ address, namespace: "" });
    this.#snapshots = this.#client.snapshotter(name);
    this.#namespace = containerdNamespace;
  }

  async prepare(request: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    return await this.#snapshots.prepare(this.#pinned(request), this.#contextOf(context));
  }

  async view(request: PrepareRequest, context: CallContext): Promise<readonly Mount[]> {
    return await this.#snapshots.view(this.#pinned(request), this.#contextOf(context));
  }

  async mounts(request: KeyRequest, context: CallContext): Promise<readonly Mount[]> {
    return await this.#snapshots.mounts(request, this.#contextOf(context));
  }

  async commit(request: CommitRequest, context: CallContext): Promise<void> {
    await this.#snapshots.commit(this.#pinned(request), this.#contextOf(context));
  }

  async remove(request: KeyRequest, context: CallContext): Promise<void> {
    await this.#snapshots.remove(request, this.#contextOf(context));
  }

  async stat(request: KeyRequest, context: CallContext): Promise<SnapshotInfo> {
    return this.#shown(await this.#snapshots.stat(request, this.#contextOf(context)));
  }

  async update(request: UpdateRequest, context: CallContext): Promise<SnapshotInfo> {
    const replacesAll = request.paths.length === 0 || request.paths.includes("labels");
    const sent = replacesAll ? this.#pinned(request) : request;
    return this.#shown(await this.#snapshots.update(sent, this.#contextOf(context)));
  }

  async list(request: ListRequest, context: CallContext): Promise<AsyncIterable<SnapshotInfo>> {
    const infos = await this.#snapshots.list(request, this.#contextOf(context));
    return this.#namespace === undefined ? infos : this.#allShown(infos);
  }

  async usage(request: KeyRequest, context: CallContext): Promise<SnapshotUsage> {
    return await this.#snapshots.usage(request, this.#contextOf(context));
  }

  async cleanup(request: CleanupRequest, context: CallContext): Promise<void> {
    try {
      await this.#snapshots.cleanup(request, this.#contextOf(context));
    } catch (error) {
      if (!isAeonError(error, "unimplemented")) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  #contextOf(context: CallContext): CallContext {
    return this.#namespace === undefined
      ? context
      : { signal: context.signal, caller: { namespace: this.#namespace } };
  }

  #pinned<Request extends { readonly labels: Labels }>(request: Request): Request {
    if (this.#namespace === undefined) return request;
    const since = request.labels[gcRoot] ?? new Date().toISOString();
    return { ...request, labels: { ...request.labels, [gcRoot]: since } };
  }

  #shown(info: SnapshotInfo): SnapshotInfo {
    if (this.#namespace === undefined) return info;
    const { [gcRoot]: _, ...labels } = info.labels;
    return { ...info, labels };
  }

  async *#allShown(infos: AsyncIterable<SnapshotInfo>): AsyncGenerator<SnapshotInfo, void, undefined> {
    for await (const info of infos) yield this.#shown(info);
  }
}
