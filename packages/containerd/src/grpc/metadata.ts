import { Metadata } from "@grpc/grpc-js";
import type { Caller } from "@aeon/core";

const namespaceHeader = "containerd-namespace";
const leaseHeader = "containerd-lease";

/** The request headers for a namespace and a lease; empty values are left out. */
export function metadataOf(caller: Caller): Metadata {
  const metadata = new Metadata();
  if (caller.namespace) metadata.set(namespaceHeader, caller.namespace);
  if (caller.lease) metadata.set(leaseHeader, caller.lease);
  return metadata;
}

/** First value of a header. */
export function headerOf(metadata: Metadata, name: string): string | undefined {
  const value = metadata.get(name)[0];
  return value === undefined ? undefined : value.toString();
}

/** Reads who calls from the request headers. */
export function callerOf(metadata: Metadata): Caller {
  const namespace = headerOf(metadata, namespaceHeader);
  const lease = headerOf(metadata, leaseHeader);
  return { ...(namespace && { namespace }), ...(lease && { lease }) };
}
