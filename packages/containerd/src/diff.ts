import { diff } from "@aeon/proto";
import type { Labels, Mount } from "@aeon/core";
import { mediaTypes, type Descriptor } from "@aeon/oci";
import type { Connection } from "./connection.ts";
import type { CallOptions, GrpcClient } from "./grpc/service-types.ts";
import { mountMessage } from "./snapshots.ts";
import { descriptorMessage, descriptorOf } from "./values.ts";

export interface DiffOptions {
  /** OCI layer type; gzip when absent. */
  readonly mediaType?: string;
  /** Labels of the blob that is written. */
  readonly labels?: Labels;
  /** Name of the ingest. */
  readonly ref?: string;
}

/** Between layers in the content store and mounted snapshots. */
export class Differ {
  readonly #api: GrpcClient<typeof diff.Diff>;

  constructor(connection: Connection) {
    this.#api = connection.service(diff.Diff);
  }

  /** Extracts a layer into mounts; returns the descriptor of the uncompressed layer, whose digest is the diff id. */
  async apply(layer: Descriptor, mounts: readonly Mount[], options?: CallOptions): Promise<Descriptor> {
    const request = { diff: descriptorMessage(layer), mounts: mounts.map(mountMessage) };
    return descriptorOf((await this.#api.apply(request, options)).applied);
  }

  /** Writes what `upper` has more or less than `lower` as a layer into the content store. */
  async create(
    lower: readonly Mount[],
    upper: readonly Mount[],
    how: DiffOptions = {},
    options?: CallOptions,
  ): Promise<Descriptor> {
    const reply = await this.#api.diff(
      {
        left: lower.map(mountMessage),
        right: upper.map(mountMessage),
        mediaType: how.mediaType ?? mediaTypes.layerGzip,
        ref: how.ref ?? `aeon-diff-${crypto.randomUUID()}`,
        labels: how.labels ?? {},
      },
      options,
    );
    return descriptorOf(reply.diff);
  }
}
