import type { JsonObject } from "../json/json-value.ts";
import type { Upstream } from "../http/upstream.ts";
import type { Pins } from "../paths/pins.ts";
import type { FilterSettings } from "../settings.ts";

/** What steps work with. */
export interface StepContext {
  readonly settings: FilterSettings;
  readonly pins: Pins;
  readonly upstream: Upstream;
}

/** The second half of a step: dockerd answered. Gives the text for the client. */
export interface Pending {
  answered(status: number, text: string): string | Promise<string>;
  /** The request failed before an answer came. */
  failed(): void | Promise<void>;
}

export const objectAt = (object: JsonObject, key: string): JsonObject => {
  const value = object.get(key);
  return value instanceof Map ? value : new Map();
};

export const textAt = (object: JsonObject, key: string): string => {
  const value = object.get(key);
  return typeof value === "string" ? value : "";
};
