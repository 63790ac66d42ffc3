import { errors } from "../errors.ts";

/** Paths in the container that stay out of its layer. */
export class Exclusions {
  readonly #patterns: readonly { readonly pattern: string; readonly matches: RegExp }[];

  /** Throws `EXCLUSION_INVALID`. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => ({ pattern, matches: globExpression(pattern) }));
  }

  /** The pattern that this path, without a slash at its start, matches; a directory takes all below with it. */
  match(path: Buffer): string | undefined {
    if (this.#patterns.length === 0) return undefined;
    const text = `/${path.toString("latin1")}`;
    return this.#patterns.find(({ matches }) => matches.test(text))?.pattern;
  }
}

/** True for a pattern that {@link Exclusions} takes. */
export function isExclusion(pattern: string): boolean {
  try {
    globExpression(pattern);
    return true;
  } catch {
    return false;
  }
}

/**
 * The expression for an absolute path with `*`, `?` and `[a-z]` inside of a component and `**` for any number of
 * components; it matches paths written as Latin-1, so that names may be any bytes.
 */
function globExpression(pattern: string): RegExp {
  if (!pattern.startsWith("/") || pattern === "/" || pattern.includes("\0"))
    throw errors.EXCLUSION_INVALID(
      `exclusion ${JSON.stringify(pattern)} is not an absolute path below the root`,
    );
  const bytes = Buffer.from(pattern.replace(/\/+$/, "")).toString("latin1");
  const source = bytes.replaceAll(/\/\*\*(?=\/|$)|\*+|\?|\[!?[^\]/]+\]|[^*?]/g, (part) => translate(part));
  try {
    return new RegExp(`^${source}$`, "s");
  } catch (error) {
    throw errors.EXCLUSION_INVALID(
      `exclusion ${JSON.stringify(pattern)} holds a malformed set of characters`,
      {
        cause: error,
      },
    );
  }
}

function translate(part: string): string {
  if (part === "/**") return "(?:/[^/]+)*";
  if (part.startsWith("*")) return "[^/]*";
  if (part === "?") return "[^/]";
  if (part.length > 1) return `[${part.slice(1, -1).replace(/^!/, "^").replaceAll("\\", "\\\\")}]`;
  return part.replace(/[\\^$.+()|{}[\]]/, String.raw`\$&`);
}

/** Where every runtime mounts something over the root file system. */
const runtimeMounts = ["/dev", "/proc", "/sys"] as const;
/** What kubelet mounts besides. */
const podMounts = [
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
  "/run/secrets",
  "/var/run/secrets",
] as const;

/** What stays out of the layer of a container, besides what its owner excludes. */
export const leftOut = (exclude: readonly string[], isPod: boolean) =>
  ({ exclude, mounts: [...runtimeMounts, ...(isPod ? podMounts : [])], devices: "harmless" }) as const;
