import { join } from "node:path";
import type { Guard } from "../rules/injection.ts";
import type { Hook } from "../rules/rule.ts";
import { shellWord } from "./shell-word.ts";

/** Where the guard of hooks whose failure is ignored lies. */
export const guardPath = (state: string): string => join(state, "guard");

/** A shell script that runs a hook, kills it after its time, and ends with 0 whatever the hook did. */
export const guardScript = (timeout: string): string => `#!/bin/sh
# Runs a hook whose failure must not fail its container: guard RULE STAGE SECONDS PROGRAM [ARGUMENT...]
_rule=$1 _stage=$2 _seconds=$3
shift 3
if [ "$_seconds" -gt 0 ]; then ${shellWord(timeout)} -s KILL "$_seconds" "$@"; else "$@"; fi
_status=$?
[ "$_status" -eq 0 ] || echo "container-hooks: $_stage hook $1 of rule $_rule ended with $_status, ignored" >&2
exit 0
`;

/** Wraps hooks so that the guard at this path runs them. */
export const guardOf =
  (path: string): Guard =>
  ({ path: program, args = [], env, timeout = 0 }, rule, stage): Hook => ({
    path,
    args: ["guard", rule.name, stage, String(timeout), program, ...args.slice(1)],
    ...(env && { env }),
  });
