import { containers } from "@aeon/proto";
import { snapshotKey, type Labels } from "@aeon/core";
import { defaultSpec, type RuntimeSpec, type SpecOptions } from "@aeon/oci";
import type { Connection } from "./connection.ts";
import { Container } from "./container.ts";
import type { CallOptions } from "./grpc/service-types.ts";
import { Images, type Image } from "./image/image.ts";
import { jsonAny, runcAny, type RuncOptions } from "./runtime-any.ts";
import { SnapshotClient } from "./snapshots.ts";

/** What to run; members of `SpecOptions` shape the default spec. */
export interface CreateContainerOptions extends Omit<SpecOptions, "id" | "namespace" | "image"> {
  /** The image or its name. */
  readonly image: Image | string;
  /** `overlayfs` when absent. */
  readonly snapshotter?: string;
  /** Key of the writable snapshot; the container's id when absent. */
  readonly snapshotKey?: string;
  /** Labels of the writable snapshot; the snapshotter sees those under `containerd.io/snapshot/`. */
  readonly snapshotLabels?: Labels;
  /** Replaces the default spec. */
  readonly spec?: RuntimeSpec;
  readonly labels?: Labels;
  /** `io.containerd.runc.v2` when absent. */
  readonly runtime?: string;
  /** Options of the runc shim, such as `binaryName`. */
  readonly runc?: RuncOptions;
}

/**
 * Makes a container on a new writable snapshot of an image, unpacking the image if need be. The connection must
 * carry a lease: nothing else protects the snapshot until the record exists.
 */
export async function createContainer(
  connection: Connection,
  id: string,
  options: CreateContainerOptions,
  call: CallOptions = {},
): Promise<Container> {
  const { snapshotter = "overlayfs", labels = {}, runtime = "io.containerd.runc.v2" } = options;
  const image =
    typeof options.image === "string" ? await new Images(connection).get(options.image, call) : options.image;
  const { config } = await image.resolve(call);
  const spec =
    options.spec ??
    defaultSpec({ ...options, id, namespace: connection.caller.namespace ?? "default", image: config });
  if (!(await image.isUnpacked(snapshotter, call))) await image.unpack(snapshotter, call);
  const chain = await image.chainId(call);
  const key = snapshotKey(options.snapshotKey ?? id);
  const snapshots = new SnapshotClient(connection, snapshotter);
  const context = call.signal && { signal: call.signal };
  const parent = chain === undefined ? {} : { parent: snapshotKey(chain) };
  await snapshots.prepare({ key, labels: options.snapshotLabels ?? {}, ...parent }, context);
  try {
    await connection.service(containers.Containers).create(
      {
        container: {
          id,
          labels,
          image: image.name,
          runtime: { name: runtime, ...(options.runc && { options: runcAny(options.runc) }) },
          spec: jsonAny("Spec", spec),
          snapshotter,
          snapshotKey: key,
        },
      },
      call,
    );
  } catch (error) {
    await snapshots.remove({ key }).catch(() => {});
    throw error;
  }
  return new Container(connection, id);
}
