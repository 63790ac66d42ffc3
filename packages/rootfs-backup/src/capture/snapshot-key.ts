import { namespace, type Namespace, type SnapshotKey } from "@aeon/core";

/** The parts of a key as containerd's metadata layer makes them: `<namespace>/<sequence>/<client key>`. */
export interface KeyParts {
  readonly namespace: Namespace;
  /** A container's is usually its id. */
  readonly clientKey: string;
}

/** Undefined for keys of other makers, and for snapshots that no container owns: layers being unpacked, image volumes. */
export function containerKey(key: SnapshotKey): KeyParts | undefined {
  const [, space, clientKey] = /^([^/]+)\/\d+\/(.+)$/s.exec(key) ?? [];
  if (space === undefined || clientKey === undefined || /^(?:extract-|sha256:|\/)/.test(clientKey))
    return undefined;
  return { namespace: namespace(space), clientKey };
}
