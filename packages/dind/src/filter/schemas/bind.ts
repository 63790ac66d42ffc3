import { denied, malformed } from "../refusal.ts";
import { show } from "../schema/schema.ts";
import { volumeName } from "./mount.ts";

/** One element of `HostConfig.Binds`, taken apart as dockerd does. */
export type Bind =
  | { readonly kind: "path"; readonly source: string; readonly target: string; readonly readOnly: boolean }
  | { readonly kind: "volume"; readonly text: string };

const modes = new Set(["ro", "rw", "nocopy", "private", "rprivate", "consistent", "cached", "delegated"]);
/** Relabelling of M's files: left out. */
const relabel = new Set(["z", "Z"]);
/** What dockerd takes for a mode where a destination should be. */
const looksLikeMode = /^(ro|rw|z|Z|nocopy|[r]?(shared|slave|private)|consistent|cached|delegated)(,|$)/;

/** Reads `source:target[:mode]`. */
export function parseBind(spec: string, at: string): Bind {
  const parts = spec.split(":");
  if (parts.length > 3) throw malformed(at, `${show(spec)} has too many colons; use --mount for such a path`);
  const [first = "", second, mode = ""] = parts;
  if (parts.length === 1) {
    if (!first.startsWith("/")) throw malformed(at, `${show(spec)} has to be an absolute path`);
    return { kind: "volume", text: first };
  }
  if (second === undefined || !second.startsWith("/") || looksLikeMode.test(second))
    throw malformed(at, `the destination of ${show(spec)} has to be an absolute path`);
  const words = mode === "" ? [] : mode.split(",").filter((word) => !relabel.has(word));
  for (const word of words)
    if (!modes.has(word))
      throw denied(at, `the mode ${show(word)} is not allowed; use ro, rw, nocopy or private`);
  if (words.includes("ro") && words.includes("rw")) throw malformed(at, "ro and rw exclude each other");
  if (first.startsWith("/"))
    return { kind: "path", source: first, target: second, readOnly: words.includes("ro") };
  if (!volumeName.test(first))
    throw denied(at, `${show(first)} is neither an absolute path nor a name of a volume`);
  return { kind: "volume", text: [first, second, ...(words.length > 0 ? [words.join(",")] : [])].join(":") };
}
