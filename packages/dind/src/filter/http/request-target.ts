import { malformed } from "../refusal.ts";

/** A request's path and query, decoded once; nothing of the original text is used afterwards. */
export interface RequestTarget {
  /** Such as `1.45`; undefined when the client named none. */
  readonly version: string | undefined;
  /** Decoded, without the version, such as `["containers", "create"]`. */
  readonly segments: readonly string[];
  readonly query: readonly (readonly [string, string])[];
}

const longest = 1 << 20;
const version = /^v(?:0|[1-9]\d{0,3})\.(?:0|[1-9]\d{0,3})$/;

/** Takes a request line's target apart, and refuses (400) what servers read in different ways. */
export function parseTarget(target: string): RequestTarget {
  if (target.length > longest) throw malformed("", "the request's address is too long", "path");
  if (!target.startsWith("/") || target.startsWith("//"))
    throw malformed("", "the request's address has to be a path such as /containers/json", "path");
  const at = target.indexOf("?");
  const path = at < 0 ? target : target.slice(0, at);
  // oxlint-disable-next-line no-control-regex
  if (/[#\\;\x00-\x20\x7f-\uffff]/.test(path))
    throw malformed("", "the path has a character that has to be encoded", "path");
  const segments = path.slice(1).split("/").map(decodeSegment);
  const [first = ""] = segments;
  const isVersion = version.test(first);
  if (!isVersion && /^v\d/.test(first))
    throw malformed("", "the API version has to look like v1.45", "version");
  // What was encoded cannot be a version: dockerd would take it for one.
  if (isVersion && !path.startsWith(`/${first}/`))
    throw malformed("", "the API version has to be written plainly", "version");
  return {
    version: isVersion ? first.slice(1) : undefined,
    segments: isVersion ? segments.slice(1) : segments,
    query: at < 0 ? [] : parseQuery(target.slice(at + 1)),
  };
}

function decodeSegment(text: string): string {
  const decoded = decode(text, "path");
  if (decoded === "" || decoded === "." || decoded === "..")
    throw malformed("", "the path has an empty, . or .. part", "path");
  // oxlint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f/\\?#%]/.test(decoded))
    throw malformed("", "the path has an encoded character that may not be in it", "path");
  return decoded;
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed("", `the ${what} has an invalid % encoding`, what);
  }
}

function parseQuery(text: string): readonly (readonly [string, string])[] {
  if (text === "") return [];
  if (/[;#]/.test(text)) throw malformed("", "the query has a character that has to be encoded", "query");
  return text.split("&").flatMap((pair) => {
    if (pair === "") return [];
    const at = pair.indexOf("=");
    return [at < 0 ? [part(pair), ""] : [part(pair.slice(0, at)), part(pair.slice(at + 1))]] as const;
  });
}

const part = (raw: string): string => decode(raw.replaceAll("+", " "), "query");

/** A query string of checked values. */
export const formatQuery = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.length === 0
    ? ""
    : `?${pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join("&")}`;
