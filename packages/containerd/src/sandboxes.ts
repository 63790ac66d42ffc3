import { sandbox, type types } from "@aeon/proto";
import type { Labels } from "@aeon/core";
import type { Connection } from "./connection.ts";
import type { CallOptions } from "./grpc/service-types.ts";
import { nanosOf } from "./values.ts";

/** A group of containers that share an environment, such as a pod. */
export interface SandboxInfo {
  readonly id: string;
  readonly labels: Labels;
  /** Name of the runtime, such as `io.containerd.runc.v2`. */
  readonly runtime: string;
  /** Name of the controller that runs it; empty before containerd 2.0. */
  readonly sandboxer: string;
  /** Nanoseconds since the epoch. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export async function sandboxesOf(
  connection: Connection,
  filters: readonly string[],
  options?: CallOptions,
): Promise<readonly SandboxInfo[]> {
  const reply = await connection.service(sandbox.Store).list({ filters: [...filters] }, options);
  return reply.list.map(infoOf);
}

const infoOf = (record: types.Sandbox): SandboxInfo => ({
  id: record.sandboxId,
  labels: record.labels,
  runtime: record.runtime?.name ?? "",
  sandboxer: record.sandboxer,
  createdAt: nanosOf(record.createdAt),
  updatedAt: nanosOf(record.updatedAt),
});
