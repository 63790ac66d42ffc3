import { introspection, version } from "@aeon/proto";
import type { Connection } from "./connection.ts";
import type { CallOptions } from "./grpc/service-types.ts";

export interface ServerVersion {
  readonly version: string;
  /** Commit it was built from. */
  readonly revision: string;
}

export interface ServerInfo {
  readonly uuid: string;
  /** 0 when containerd does not tell. */
  readonly pid: number;
}

export interface PluginInfo {
  /** Such as `io.containerd.snapshotter.v1`. */
  readonly type: string;
  readonly id: string;
  readonly capabilities: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  /** Why it is not loaded. */
  readonly failure?: string;
}

export async function versionOf(connection: Connection, options?: CallOptions): Promise<ServerVersion> {
  const reply = await connection.service(version.Version).version({}, options);
  return { version: reply.version, revision: reply.revision };
}

export async function serverOf(connection: Connection, options?: CallOptions): Promise<ServerInfo> {
  const reply = await connection.service(introspection.Introspection).server({}, options);
  return { uuid: reply.uuid, pid: Number(reply.pid) };
}

export async function pluginsOf(
  connection: Connection,
  filters: readonly string[],
  options?: CallOptions,
): Promise<readonly PluginInfo[]> {
  const api = connection.service(introspection.Introspection);
  const reply = await api.plugins({ filters: [...filters] }, options);
  return reply.plugins.map(infoOf);
}

function infoOf({ type, id, capabilities, exports, initErr }: introspection.Plugin): PluginInfo {
  return { type, id, capabilities, exports, ...(initErr && { failure: initErr.message }) };
}
