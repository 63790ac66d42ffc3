import { byteSize, duration } from "@aeon/core";
import * as v from "valibot";
import { present } from "../present.ts";
import { retentionText } from "../store/retention-rules.ts";
import type { PolicySpec } from "./api.ts";

/** What a policy says of retention, as its backups' label has it; undefined when it says nothing. Throws what is wrong with it. */
export function retentionOf({ retention }: PolicySpec): string | undefined {
  if (retention === undefined) return undefined;
  const { maxAge, maxBytes, ...counts } = retention;
  const rules = present({
    ...counts,
    maxAgeMs: maxAge === undefined ? undefined : v.parse(duration(), maxAge),
    maxBytes: maxBytes === undefined ? undefined : v.parse(byteSize(), maxBytes),
  });
  return Object.keys(rules).length === 0 ? undefined : retentionText(rules);
}
