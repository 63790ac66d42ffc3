import { namespace, type Namespace, type SnapshotKey } from "@aeon/core";

/** A backend key of containerd, `<namespace>/<sequence>/<client key>`, in its parts. */
export interface BackendKey {
  readonly namespace: Namespace;
  /** Grows within a namespace: of two keys with the same client key, only the later can still be in use. */
  readonly sequence: number;
  /** What containerd's clients call the snapshot; a container's is usually its id. */
  readonly clientKey: string;
}

/** Undefined for keys that are not of containerd's making. */
export function parseBackendKey(key: SnapshotKey): BackendKey | undefined {
  const parts = /^([^/]+)\/(\d{1,15})\/(.+)$/s.exec(key);
  if (parts === null) return undefined;
  const [, space = "", sequence = "", clientKey = ""] = parts;
  return { namespace: namespace(space), sequence: Number(sequence), clientKey };
}

/**
 * False for snapshots that no container owns: layers being unpacked (`extract-…`), copies for user namespaces
 * (`sha256:…-remap`) and image volumes (an absolute path).
 */
export const mayBeContainer = ({ clientKey }: BackendKey): boolean =>
  !/^(extract-|sha(256|384|512):|\/)/.test(clientKey);
