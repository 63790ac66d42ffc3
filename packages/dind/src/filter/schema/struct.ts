import { foldKey, isAscii } from "../json/fold.ts";
import type { JsonObject } from "../json/json-value.ts";
import { denied, malformed } from "../refusal.ts";
import { below, type Scope } from "./scope.ts";
import { show, type Schema } from "./schema.ts";

/**
 * An object with known fields. Keys are found as the daemon finds them, whatever their case, and go out in their one
 * spelling; unknown ones are denied, two that fold to the same one refused. Null is the same as absent.
 */
export function struct(fields: Readonly<Record<string, Schema>>): Schema {
  const byFold = new Map(Object.entries(fields).map(([name, schema]) => [foldKey(name), { name, schema }]));
  return (value, scope) => {
    if (!(value instanceof Map)) throw malformed(scope.at, "has to be an object");
    const result: JsonObject = new Map();
    const seen = new Set<string>();
    for (const [key, element] of value) {
      if (!isAscii(key))
        throw malformed(scope.at, `the key ${show(key)} has other than ASCII characters`, "json-key");
      const folded = foldKey(key);
      if (seen.has(folded))
        throw malformed(
          scope.at,
          `the key ${show(key)} appears twice in different spellings`,
          "json-duplicate",
        );
      seen.add(folded);
      const field = byFold.get(folded);
      // Some clients send all that they know, as null.
      if (field === undefined && element === null) continue;
      if (field === undefined) throw unknownKey(key, scope);
      const inner = below(scope, field.name);
      const rule = scope.rules(inner.at);
      if (rule?.verdict === "deny") throw denied(inner.at, rule.reason, "policy");
      if (rule?.verdict === "rewrite") result.set(field.name, rule.value);
      else if (rule?.verdict === "allow") result.set(field.name, element);
      else if (element !== null) {
        const checked = field.schema(element, inner);
        if (checked !== undefined) result.set(field.name, checked);
      }
    }
    return result;
  };
}

function unknownKey(key: string, scope: Scope): Error {
  const place = scope.at === "" ? key : `${scope.at}.${key}`;
  return denied(place, "this key is not known to the filter; leave it out", "unknown-key");
}
