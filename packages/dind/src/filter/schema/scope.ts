import type { JsonValue } from "../json/json-value.ts";

/** What a policy file says about one field. */
export type FieldRule =
  | { readonly verdict: "allow" }
  | { readonly verdict: "deny"; readonly reason: string }
  | { readonly verdict: "rewrite"; readonly value: JsonValue };

/** Rules of the policy file by place, such as `HostConfig.Privileged`; undefined where the built-in rule holds. */
export type FieldRules = (field: string) => FieldRule | undefined;

/** Where a schema is in the request, and what it may ask. */
export interface Scope {
  readonly at: string;
  readonly rules: FieldRules;
}

export const topScope = (rules: FieldRules = () => undefined): Scope => ({ at: "", rules });

/** One level down; list elements share the place of their list. */
export const below = (scope: Scope, key: string): Scope => ({
  at: scope.at === "" ? key : `${scope.at}.${key}`,
  rules: scope.rules,
});
