import { readFileSync, statSync } from "node:fs";
import { decodeJson } from "../json/decode-json.ts";
import { isArray, type JsonObject, type JsonValue, plainText } from "../json/json-value.ts";
import type { EndpointRules } from "../http/parse-request.ts";
import type { FieldRule, FieldRules } from "../schema/scope.ts";
import { routes } from "../routes/table.ts";

/**
 * A policy file: JSON, `{"version":1,"mode":"enforce"|"observe","rules":[…]}`. A rule has
 * - `endpoints`: operation ids such as `ContainerCreate`, `*` for all;
 * - `namespaces`, `classes`: whom it is for; absent: everybody;
 * - `field`: a place such as `HostConfig.Privileged` or `query.remote`; absent: the endpoint as a whole, only with deny;
 * - `verdict`: `deny` (with `reason`), `allow` or `rewrite` (with `value`).
 *
 * The first rule that fits counts. With `observe` denials and rewrites of the file are only reported; the built-in rules
 * hold always.
 */
export interface Policy {
  readonly mode: "enforce" | "observe";
  rulesFor(endpoint: string): EndpointRules;
}

export interface PolicySubject {
  readonly namespace: string;
  readonly class: string;
}

interface Rule {
  readonly endpoints: readonly string[];
  readonly field: string | undefined;
  readonly rule: FieldRule;
}

const largest = 1024 ** 2;
const openRules: EndpointRules = { fields: () => undefined };
export const noPolicy: Policy = { mode: "enforce", rulesFor: () => openRules };

/** Reads a policy for one container. Throws an error that names the rule at fault. */
export function readPolicy(
  file: string,
  subject: PolicySubject,
  observed: (endpoint: string, field: string, reason: string) => void,
): Policy {
  if (statSync(file).size > largest) throw new Error(`${file} has more than ${largest} bytes`);
  const document = decodeJson(readFileSync(file));
  if (!(document instanceof Map)) throw new Error(`${file} has to be an object`);
  only(document, ["version", "mode", "rules"], file);
  const mode = document.get("mode") ?? "enforce";
  if (mode !== "enforce" && mode !== "observe") throw new Error(`${file}: mode has to be enforce or observe`);
  const list = document.get("rules") ?? [];
  if (!isArray(list)) throw new Error(`${file}: rules have to be a list`);
  const rules = list.flatMap((value, index) => readRule(value, `${file}: rule ${index + 1}`, subject));
  const compiled = new Map<string, EndpointRules>();
  return {
    mode,
    rulesFor(endpoint) {
      let found = compiled.get(endpoint);
      if (found === undefined) {
        found = compile(endpoint, rules, mode, observed);
        compiled.set(endpoint, found);
      }
      return found;
    },
  };
}

function compile(
  endpoint: string,
  rules: readonly Rule[],
  mode: string,
  observed: (endpoint: string, field: string, reason: string) => void,
): EndpointRules {
  const own = rules.filter(({ endpoints }) => endpoints.includes(endpoint) || endpoints.includes("*"));
  const byField = new Map<string, FieldRule>();
  let denied: string | undefined;
  for (const { field, rule } of own) {
    if (field === undefined) denied ??= rule.verdict === "deny" ? rule.reason : undefined;
    else if (!byField.has(field)) byField.set(field, rule);
  }
  const fields: FieldRules = (field) => {
    const rule = byField.get(field);
    if (mode === "enforce" || rule === undefined || rule.verdict === "allow") return rule;
    observed(endpoint, field, rule.verdict === "deny" ? rule.reason : "would be rewritten");
    return undefined;
  };
  if (denied === undefined) return { fields };
  if (mode === "enforce") return { fields, denied };
  const reason = denied;
  return { fields, used: () => observed(endpoint, "", reason) };
}

const known = new Set(routes.map(({ name }) => name));

function readRule(value: JsonValue, at: string, subject: PolicySubject): readonly Rule[] {
  if (!(value instanceof Map)) throw new Error(`${at} has to be an object`);
  only(value, ["endpoints", "namespaces", "classes", "field", "verdict", "reason", "value"], at);
  const endpoints = texts(value, "endpoints", at);
  if (endpoints === undefined) throw new Error(`${at}: endpoints are missing`);
  for (const name of endpoints)
    if (name !== "*" && !known.has(name)) throw new Error(`${at}: there is no endpoint ${name}`);
  const field = value.get("field");
  if (field !== undefined && typeof field !== "string") throw new Error(`${at}: field has to be a text`);
  const rule = verdictOf(value, at);
  if (field === undefined && rule.verdict !== "deny") throw new Error(`${at}: ${rule.verdict} needs a field`);
  return fits(texts(value, "namespaces", at), subject.namespace) &&
    fits(texts(value, "classes", at), subject.class)
    ? [{ endpoints, field, rule }]
    : [];
}

/** Absent: everybody. */
const fits = (list: readonly string[] | undefined, own: string): boolean =>
  list === undefined || list.includes(own);

function verdictOf(value: JsonObject, at: string): FieldRule {
  const reason = value.get("reason") ?? "the policy of this cluster denies it";
  const verdict = value.get("verdict");
  if (verdict === "allow") return { verdict };
  if (verdict === "deny") return { verdict, reason: plainText(reason) };
  if (verdict !== "rewrite") throw new Error(`${at}: verdict has to be allow, deny or rewrite`);
  const replacement = value.get("value");
  if (replacement === undefined) throw new Error(`${at}: rewrite needs a value`);
  return { verdict, value: replacement };
}

function texts(object: JsonObject, key: string, at: string): readonly string[] | undefined {
  const value = object.get(key);
  if (value === undefined) return undefined;
  if (!isArray(value)) throw new Error(`${at}: ${key} has to be a list of texts`);
  return value.map((item) => {
    if (typeof item !== "string") throw new Error(`${at}: ${key} has to be a list of texts`);
    return item;
  });
}

function only(object: JsonObject, keys: readonly string[], at: string): void {
  for (const key of object.keys()) if (!keys.includes(key)) throw new Error(`${at}: unknown key ${key}`);
}
