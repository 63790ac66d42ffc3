import { join } from "node:path";
import type { Guard } from "../rules/injection.ts";
import type { ContainerFacts } from "../rules/container-facts.ts";
import type { Hook, Rule } from "../rules/rule.ts";
import { mostRuns, runsPath } from "../runs/runs-folder.ts";
import { shellWord } from "./shell-word.ts";

/** Where the guard lies: what runs hooks whose failure is ignored or whose runs are kept. */
export const guardPath = (state: string): string => join(state, "guard");

/** Bytes of a hook's output that are kept, the last ones. */
export const mostOutput = 16_384;

/** Absolute paths of programs that the guard needs. */
export interface GuardTools {
  readonly timeout: string;
  readonly date: string;
  readonly tail: string;
  readonly cat: string;
}

/** Where Linux systems have them. */
export const guardTools: GuardTools = {
  timeout: "/usr/bin/timeout",
  date: "/bin/date",
  tail: "/usr/bin/tail",
  cat: "/bin/cat",
};

/**
 * A shell script that runs a hook, kills it after its time, keeps how it ran in one of a fixed number of files, and
 * ends with 0 whatever the hook did when its failure is to be ignored.
 */
export const guardScript = ({ timeout, date, tail, cat }: GuardTools): string => `#!/bin/sh
# guard WHAT POLICY SECONDS FOLDER PROGRAM [ARGUMENT...]
_ch_what=$1 _ch_policy=$2 _ch_seconds=$3 _ch_folder=$4
shift 4
_ch_program=$1
if [ "$_ch_seconds" -gt 0 ]; then set -- ${shellWord(timeout)} -s KILL "$_ch_seconds" "$@"; fi
if [ ! "$_ch_folder" ]; then
  "$@"
  _ch_status=$?
else
  _ch_state=$(${shellWord(cat)})
  _ch_id=\${_ch_state#*\\"id\\":}
  _ch_id=\${_ch_id#*\\"}
  _ch_id=\${_ch_id%%\\"*}
  _ch_from=$(${shellWord(date)} +%s%N)
  _ch_mark="container-hooks:$$:"
  _ch_output=$(
    {
      "$@" <<_CH_STATE_
$_ch_state
_CH_STATE_
      printf '%s%s' "$_ch_mark" "$?"
    } 2>&1 | ${shellWord(tail)} -c ${mostOutput}
  )
  _ch_to=$(${shellWord(date)} +%s%N)
  _ch_status=\${_ch_output##*"$_ch_mark"}
  _ch_status=\${_ch_status%%[!0-9]*}
  _ch_output=\${_ch_output%"$_ch_mark"*}
  : "\${_ch_status:=1}"
  # A run that cannot be kept is no reason to stop a container.
  { printf '%s\\n%s %s %s %s\\n%s\\nend\\n' "$_ch_what" "$_ch_status" "$_ch_from" "$_ch_to" "$_ch_id" "$_ch_output" >"$_ch_folder/$(($$ % ${mostRuns}))"; } 2>/dev/null
  [ "$_ch_status" -eq 0 ] || printf '%s' "$_ch_output" >&2
fi
if [ "$_ch_policy" = fail ]; then exit "$_ch_status"; fi
[ "$_ch_status" -eq 0 ] || echo "container-hooks: hook $_ch_program ended with $_ch_status, ignored: $_ch_what" >&2
exit 0
`;

export interface GuardOptions {
  /** Folder in which the guard lies and keeps runs. */
  readonly state: string;
  /** Whether runs are kept of rules that do not say. */
  readonly record: boolean;
}

/** Runs hooks below the guard where that is needed: to ignore a failure, or to keep how they ran. */
export const guardOf =
  ({ state, record }: GuardOptions): Guard =>
  (hook, rule, stage, facts): Hook => {
    const isKept = isRecorded(rule, record);
    // Inside the container there is no guard.
    if (stage === "startContainer" || (rule.onFailure === "fail" && !isKept)) return hook;
    const { path: program, args = [], env, timeout = 0 } = hook;
    const what = JSON.stringify({ rule: rule.name, stage, program, policy: rule.onFailure, ...podOf(facts) });
    return {
      path: guardPath(state),
      args: [
        "guard",
        what,
        rule.onFailure,
        String(timeout),
        isKept ? runsPath(state) : "",
        program,
        ...args.slice(1),
      ],
      ...(env && { env }),
    };
  };

/** A failure that is ignored would be seen nowhere else. */
const isRecorded = ({ record, onFailure }: Rule, byDefault: boolean): boolean =>
  record ?? (byDefault || onFailure === "ignore");

const podOf = ({ namespace, pod, container }: ContainerFacts) => ({
  ...(namespace !== undefined && { namespace }),
  ...(pod !== undefined && { pod }),
  ...(container !== undefined && { container }),
});
