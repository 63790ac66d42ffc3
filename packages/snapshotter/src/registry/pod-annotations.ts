import type { Labels } from "@aeon/core";
import * as v from "valibot";

/** Where containerd's CRI plugin keeps a sandbox's configuration in its container record, as JSON. */
const extension = "io.cri-containerd.sandbox.metadata";

const metadata = v.object({
  Metadata: v.object({
    Config: v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) }),
  }),
});

/** What aeon reads starts so; others may be large and are nobody's business. */
const ours = /^(?:[a-z0-9-]+\.)*container\.io\//;

/**
 * The annotations of a pod that are meant for aeon, from the record of its sandbox; empty for other records. Their
 * values may hold what those of Kubernetes' labels may not.
 */
export function podAnnotations(extensions: Readonly<Record<string, { readonly value: Uint8Array }>>): Labels {
  const found = extensions[extension];
  if (found === undefined) return {};
  const parsed = v.safeParse(metadata, parseJson(found.value));
  if (!parsed.success) return {};
  const { annotations } = parsed.output.Metadata.Config;
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => ours.test(name)));
}

/** Somebody else writes it, in whatever form. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
