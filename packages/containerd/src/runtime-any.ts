import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { AnySchema, type Any } from "@bufbuild/protobuf/wkt";
import { runc } from "@aeon/proto";

/** containerd's type URLs for parts of the OCI runtime spec, which travel as JSON. */
const prefix = "types.containerd.io/opencontainers/runtime-spec/1/";

/** Packs a part of the OCI runtime spec. */
export function jsonAny(type: "Spec" | "Process" | "LinuxResources", value: object): Any {
  return create(AnySchema, { typeUrl: `${prefix}${type}`, value: Buffer.from(JSON.stringify(value)) });
}

export type RuncOptions = MessageInitShape<typeof runc.OptionsSchema>;
export type RuncCheckpointOptions = MessageInitShape<typeof runc.CheckpointOptionsSchema>;

/** Packs options of the runc shim under the bare type name that containerd uses. */
export function runcAny(options: RuncOptions): Any {
  const value = toBinary(runc.OptionsSchema, create(runc.OptionsSchema, options));
  return create(AnySchema, { typeUrl: runc.OptionsSchema.typeName, value });
}

/** Packs checkpoint options of the runc shim. */
export function runcCheckpointAny(options: RuncCheckpointOptions): Any {
  const value = toBinary(runc.CheckpointOptionsSchema, create(runc.CheckpointOptionsSchema, options));
  return create(AnySchema, { typeUrl: runc.CheckpointOptionsSchema.typeName, value });
}
