import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { snapshots, types } from "@aeon/proto";
import {
  snapshotKey,
  type CallContext,
  type CommitRequest,
  type KeyRequest,
  type ListRequest,
  type Mount,
  type PrepareRequest,
  type SnapshotInfo,
  type SnapshotKind,
  type Snapshotter,
  type SnapshotUsage,
  type UpdateRequest,
} from "@aeon/core";
import type { Connection } from "./connection.ts";
import type { CallOptions, GrpcClient } from "./grpc/service-types.ts";
import { nanosOf, required, timestampOf } from "./values.ts";

type Context = Partial<CallContext>;

/**
 * A snapshotter behind a socket: containerd's own services or a proxy plugin. Satisfies core's Snapshotter; the
 * context may be left out, then the connection's own namespace and lease go along.
 */
export class SnapshotClient implements Snapshotter {
  /** As containerd names it, such as `overlayfs`. */
  readonly name: string;
  readonly #api: GrpcClient<typeof snapshots.Snapshots>;

  constructor(connection: Connection, name: string) {
    this.name = name;
    this.#api = connection.service(snapshots.Snapshots);
  }

  async prepare(request: PrepareRequest, context?: Context): Promise<readonly Mount[]> {
    return (await this.#api.prepare(this.#creation(request), callOf(context))).mounts.map(mountOf);
  }

  async view(request: PrepareRequest, context?: Context): Promise<readonly Mount[]> {
    return (await this.#api.view(this.#creation(request), callOf(context))).mounts.map(mountOf);
  }

  async mounts(request: KeyRequest, context?: Context): Promise<readonly Mount[]> {
    return (await this.#api.mounts(this.#named(request), callOf(context))).mounts.map(mountOf);
  }

  async commit(request: CommitRequest, context?: Context): Promise<void> {
    const { name, key, labels, parent = "" } = request;
    await this.#api.commit({ snapshotter: this.name, name, key, labels, parent }, callOf(context));
  }

  async remove(request: KeyRequest, context?: Context): Promise<void> {
    await this.#api.remove(this.#named(request), callOf(context));
  }

  async stat(request: KeyRequest, context?: Context): Promise<SnapshotInfo> {
    return snapshotInfoOf((await this.#api.stat(this.#named(request), callOf(context))).info);
  }

  async update(request: UpdateRequest, context?: Context): Promise<SnapshotInfo> {
    const { name, labels, paths } = request;
    const reply = await this.#api.update(
      {
        snapshotter: this.name,
        info: { name, labels },
        ...(paths.length > 0 && { updateMask: create(FieldMaskSchema, { paths: [...paths] }) }),
      },
      callOf(context),
    );
    return snapshotInfoOf(reply.info);
  }

  async list(request: ListRequest, context?: Context): Promise<AsyncIterable<SnapshotInfo>> {
    const replies = this.#api.list(
      { snapshotter: this.name, filters: [...request.filters] },
      callOf(context),
    );
    return flatten(replies);
  }

  async usage(request: KeyRequest, context?: Context): Promise<SnapshotUsage> {
    const { size, inodes } = await this.#api.usage(this.#named(request), callOf(context));
    return { size, inodes };
  }

  async cleanup(_request: object, context?: Context): Promise<void> {
    await this.#api.cleanup({ snapshotter: this.name }, callOf(context));
  }

  /** Nothing to release: the connection belongs to whoever opened it. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #creation({
    key,
    parent = "",
    labels,
  }: {
    key: string;
    parent?: string;
    labels: PrepareRequest["labels"];
  }) {
    return { snapshotter: this.name, key, parent, labels };
  }

  #named({ key }: KeyRequest) {
    return { snapshotter: this.name, key };
  }
}

async function* flatten(
  replies: AsyncIterable<snapshots.ListSnapshotsResponse>,
): AsyncGenerator<SnapshotInfo, void, undefined> {
  for await (const reply of replies) for (const info of reply.info) yield snapshotInfoOf(info);
}

function callOf(context: Context | undefined): CallOptions {
  if (context === undefined) return {};
  return {
    ...(context.signal && { signal: context.signal }),
    ...(context.caller && { metadata: context.caller }),
  };
}

/** containerd's mount in core's form. */
export const mountOf = ({ type, source, target, options }: types.Mount): Mount => ({
  type,
  source,
  target,
  options,
});

/** Core's mount in containerd's form. */
export const mountMessage = ({ type, source, target, options }: Mount): types.Mount =>
  create(types.MountSchema, { type, source, target, options: [...options] });

const kinds: Readonly<Record<snapshots.Kind, SnapshotKind>> = {
  [snapshots.Kind.UNKNOWN]: "committed",
  [snapshots.Kind.VIEW]: "view",
  [snapshots.Kind.ACTIVE]: "active",
  [snapshots.Kind.COMMITTED]: "committed",
};

const kindNumbers: Readonly<Record<SnapshotKind, snapshots.Kind>> = {
  view: snapshots.Kind.VIEW,
  active: snapshots.Kind.ACTIVE,
  committed: snapshots.Kind.COMMITTED,
};

/** containerd's snapshot record in core's form. Throws `REPLY_INCOMPLETE` when there is none. */
export function snapshotInfoOf(info: snapshots.Info | undefined): SnapshotInfo {
  const { name, parent, kind, createdAt, updatedAt, labels } = required(info, "snapshot");
  return {
    name: snapshotKey(name),
    ...(parent !== "" && { parent: snapshotKey(parent) }),
    kind: kinds[kind] ?? "committed",
    createdAt: nanosOf(createdAt),
    updatedAt: nanosOf(updatedAt),
    labels,
  };
}

/** Core's snapshot record in containerd's form. */
export function snapshotInfoMessage(info: SnapshotInfo): snapshots.Info {
  return create(snapshots.InfoSchema, {
    name: info.name,
    parent: info.parent ?? "",
    kind: kindNumbers[info.kind],
    createdAt: timestampOf(info.createdAt),
    updatedAt: timestampOf(info.updatedAt),
    labels: info.labels,
  });
}
