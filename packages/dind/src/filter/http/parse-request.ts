import { decodeJson } from "../json/decode-json.ts";
import type { JsonValue } from "../json/json-value.ts";
import { malformed, Refusal } from "../refusal.ts";
import { matchRoute } from "../routes/table.ts";
import type { ParsedRequest } from "../routes/route.ts";
import { checkQuery } from "../schema/query.ts";
import { topScope, type FieldRules } from "../schema/scope.ts";
import type { FilterSettings } from "../settings.ts";
import { versionFor } from "./api-version.ts";
import { parseTarget } from "./request-target.ts";

/** A request without its body: where it goes, decided on. */
export interface Head extends Omit<ParsedRequest, "body"> {
  readonly version: string;
}

/** Rules of the policy file for one endpoint, which may also deny it as a whole. */
export interface EndpointRules {
  readonly denied?: string;
  readonly fields: FieldRules;
  /** Told that the endpoint was used, where that is only observed. */
  readonly used?: () => void;
}

export interface ParseContext {
  readonly settings: FilterSettings;
  /** Highest version that dockerd and the schemas both know. */
  readonly ceiling: string;
  readonly rules: (endpoint: string) => EndpointRules;
}

/** Decides on request line and query. Throws a {@link Refusal}. */
export function parseHead(method: string, target: string, context: ParseContext): Head {
  const { version, segments, query } = parseTarget(target);
  const { route, parameters } = matchRoute(method, segments);
  const rules = context.rules(route.name);
  if (rules.denied !== undefined)
    throw new Refusal(403, "policy", "", `${route.name} is not available: ${rules.denied} [aeon: policy]`);
  rules.used?.();
  if (route.local === "denied")
    throw new Refusal(
      403,
      "endpoint-denied",
      "",
      `${method} /${segments.join("/").slice(0, 200)} is not available to containers of this pod [aeon: endpoint-denied]`,
    );
  const schema = typeof route.query === "function" ? route.query(context.settings) : route.query;
  return {
    route,
    method,
    parameters,
    version: versionFor(version, context.ceiling),
    query: checkQuery(query, schema, rules.fields),
  };
}

/** Decides on a JSON body; undefined for an empty one where that is fine. */
export function parseBody(head: Head, bytes: Buffer, context: ParseContext): JsonValue | undefined {
  const { route } = head;
  if (route.body.kind !== "json") return undefined;
  if (bytes.length === 0) {
    if (route.body.optional === true) return undefined;
    throw malformed("", "a JSON body is required");
  }
  const value = decodeJson(bytes);
  const schema = route.body.schema(context.settings);
  if (value === null) {
    if (route.body.optional === true) return undefined;
    throw malformed("", "the body has to be an object");
  }
  return schema(value, topScope(context.rules(route.name).fields));
}

/** Headers for dockerd; several values are several lines. */
export type OutgoingHeaders = Record<string, string | string[]>;

/** Standing headers that go through: credentials of registries, never logged. */
export function forwardedHeaders(head: Head, headers: NodeJS.Dict<string[]>): OutgoingHeaders {
  const result: OutgoingHeaders = { host: "docker", "user-agent": "aeon-dind-filter" };
  for (const name of head.route.headers ?? []) {
    const value = headers[name];
    // Each on a line of its own: dockerd does not split lists of gRPC methods.
    if (value !== undefined) result[name] = value;
  }
  return result;
}
