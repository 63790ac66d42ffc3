import type { FilterSettings } from "../settings.ts";
import type { JsonValue } from "../json/json-value.ts";
import type { QuerySchema } from "../schema/query.ts";
import type { Schema } from "../schema/schema.ts";

/** What a request carries beside its address. */
export type BodyKind =
  /** Nothing; a body is read over and dropped. */
  | { readonly kind: "none" }
  /** One JSON value, decoded and written anew. `optional`: an empty body is fine. */
  | {
      readonly kind: "json";
      readonly schema: (settings: FilterSettings) => Schema;
      readonly optional?: boolean;
    }
  /** Streamed as it comes, under this content type. */
  | { readonly kind: "stream"; readonly type: string };

export type AnswerKind =
  | "plain"
  /** JSON in which paths of pins are replaced by those of the main container. */
  | "paths"
  /** A connection of its own after 101, or raw bytes after 200. */
  | "hijack"
  /** A connection of its own after 101, nothing else. */
  | "tunnel";

export interface Route {
  /** Docker's operation id: for the policy file, audit and metrics. */
  readonly name: string;
  readonly methods: readonly string[];
  /** Such as `containers/{id}/json`; `{name…}` takes several segments. */
  readonly path: string;
  readonly query: QuerySchema | ((settings: FilterSettings) => QuerySchema);
  readonly body: BodyKind;
  readonly answer: AnswerKind;
  /** Headers that go through beside the standing ones. */
  readonly headers?: readonly string[];
  /** Work that needs more than the request: pins, look-ups. Changes the body, and may act on the outcome. */
  readonly step?: StepName;
  /** Answered here. */
  readonly local?: LocalName;
}

export type StepName =
  | "container-create"
  | "volume-create"
  | "container-inspect"
  | "network-name"
  | "archive";
export type LocalName = "not-a-manager" | "denied" | "options";

/** A request as the filter understood it. */
export interface ParsedRequest {
  readonly route: Route;
  readonly method: string;
  /** Values of `{id}` and `{name…}`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [string, string])[];
  readonly body: JsonValue | undefined;
}

export const get = ["GET"] as const;
export const post = ["POST"] as const;
export const noBody: BodyKind = { kind: "none" };

/** Most routes are plain. */
export function route(
  name: string,
  methods: readonly string[],
  path: string,
  rest: Partial<Omit<Route, "name" | "methods" | "path">> = {},
): Route {
  return { name, methods, path, query: {}, body: noBody, answer: "plain", ...rest };
}

/** A body that is the same for every pod. */
export const json = (schema: Schema, optional = false): BodyKind => ({
  kind: "json",
  schema: () => schema,
  optional,
});

/** A body whose rules depend on the pod's settings. */
export const jsonFor = (schema: (settings: FilterSettings) => Schema): BodyKind => ({ kind: "json", schema });

export const tarBody: BodyKind = { kind: "stream", type: "application/x-tar" };
