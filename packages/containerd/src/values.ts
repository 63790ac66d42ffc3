import { create } from "@bufbuild/protobuf";
import type { FieldMask, Timestamp } from "@bufbuild/protobuf/wkt";
import { FieldMaskSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { types } from "@aeon/proto";
import { parseDigest, type Descriptor } from "@aeon/oci";
import type { Labels } from "@aeon/core";
import { errors } from "./errors.ts";

const nanosPerSecond = 1_000_000_000n;

/** Nanoseconds since the epoch; 0 for a missing timestamp. */
export function nanosOf(timestamp: Timestamp | undefined): bigint {
  return timestamp === undefined ? 0n : timestamp.seconds * nanosPerSecond + BigInt(timestamp.nanos);
}

/** The timestamp of nanoseconds since the epoch. */
export function timestampOf(nanos: bigint): Timestamp {
  const rest = ((nanos % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  return create(TimestampSchema, { seconds: (nanos - rest) / nanosPerSecond, nanos: Number(rest) });
}

/** containerd's descriptor in OCI's form; the platform is not part of it. */
export function descriptorOf(descriptor: types.Descriptor | undefined): Descriptor {
  const { mediaType, digest, size, annotations } = required(descriptor, "descriptor");
  return {
    mediaType,
    digest: parseDigest(digest),
    size: Number(size),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}

/** OCI's descriptor in containerd's form. */
export function descriptorMessage(descriptor: Descriptor): types.Descriptor {
  const { mediaType, digest, size, annotations } = descriptor;
  return create(types.DescriptorSchema, {
    mediaType,
    digest,
    size: BigInt(size),
    ...(annotations && { annotations }),
  });
}

/** A field mask that touches only the given labels; an empty value deletes a label. */
export function labelMask(labels: Labels): FieldMask {
  return create(FieldMaskSchema, { paths: Object.keys(labels).map((name) => `labels.${name}`) });
}

/** The message that a reply has to carry. Throws `REPLY_INCOMPLETE`. */
export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw errors.REPLY_INCOMPLETE(`containerd's reply carries no ${what}`);
  return value;
}
