import { shellWord } from "./shell-word.ts";

export interface LauncherOptions {
  /** Absolute path of the low-level runtime. */
  readonly runtime: string;
  /** Absolute paths to fall back on when it has gone. */
  readonly alternatives: readonly string[];
  /** Command that starts the helper; its first word is an absolute path. */
  readonly helper: readonly string[];
  /** Path of the compiled plan. */
  readonly plan: string;
  /** Absolute path of env. */
  readonly env: string;
  /** Absolute path of a sed that {@link insertionArguments} work with; absent: the helper puts all hooks in. */
  readonly sed: string | undefined;
}

/** In the first lines of every launcher, so that one is recognised. */
export const launcherMark = "container-hooks launcher";

/** Flags with a value before the subcommand, of runc, crun, youki and runsc. */
const valuedGlobals = [
  "root",
  "r",
  "criu",
  "rootless",
  "cgroup-manager",
  "log-level",
  "debug-log",
  "platform",
  "network",
];
/** Flags with a value after create, run or restore. */
const valuedFlags = [
  "console-socket",
  "pidfd-socket",
  "pid-file",
  "preserve-fds",
  "config",
  "f",
  "image-path",
  "work-path",
  "parent-path",
  "manage-cgroups-mode",
  "empty-ns",
  "lsm-profile",
  "lsm-mount-context",
  "user-log",
];
const switches = ["debug", "systemd-cgroup", "no-pivot"];
const otherCommands = [
  "checkpoint",
  "delete",
  "events",
  "exec",
  "features",
  "kill",
  "list",
  "mounts",
  "pause",
  "ps",
  "resume",
  "spec",
  "start",
  "state",
  "update",
  "help",
  "h",
  "info",
];

const both = (names: readonly string[]): string => names.map((name) => `--${name}|-${name}`).join("|");

const full = "/dev/full";

/**
 * Arguments that make GNU sed run a program on a specification in place. One that may have hooks, or does not start with
 * a member, stays as it is, and sed ends with a failure: it gives up when it cannot write, which it tries with more
 * than it buffers.
 */
export const insertionArguments = (program: string): readonly string[] => [
  "-zi",
  ...[
    String.raw`/"hooks"/Ibx`,
    String.raw`/\\u00[4-7]/Ibx`,
    String.raw`/^{[[:space:]]*"/!bx`,
    program,
    "b",
    ":x",
    `h;z;s/^/${"x".repeat(8)}/${";s/.*/&&&&&&&&/".repeat(4)};w ${full}`,
    "g",
  ].flatMap((part) => ["-e", part]),
];

function staticCase(sed: string): string {
  const program = `"$_ch_sed"`;
  const words = insertionArguments(program).map((word) => (word === program ? word : shellWord(word)));
  return `  static)
    if [ ! -L "$_ch_json" ] && [ -s "$_ch_json" ] && [ -c ${full} ] &&
      LC_ALL=C ${shellWord(sed)} ${words.join(" ")} -- "$_ch_json" 2>/dev/null; then :; else _ch_help; fi
    ;;
`;
}

/**
 * A shell script that stands in for a low-level runtime. It becomes that runtime at once, except for create, run and
 * restore, before which it puts hooks into the bundle's config.json. Nothing of the caller's descriptors, signals,
 * limits or arguments changes on the way.
 */
export const launcherScript = (options: LauncherOptions): string => `#!/bin/sh
# ${launcherMark}, written by container-hooks-ctk: change config.toml and install again instead of this file.
_ch_low=${shellWord(options.runtime)}
# The words that containerd and people begin with most; anything else is looked at closer below.
case $1 in
--root) case $3 in
  --log) case $5/$7 in
    --log-format/--systemd-cgroup) _ch_cmd=$8 ;;
    --log-format/*) _ch_cmd=$7 ;;
    *) _ch_cmd= ;;
    esac ;;
  *) _ch_cmd=$3 ;;
  esac ;;
*) _ch_cmd=$1 ;;
esac
case $_ch_cmd in
${otherCommands.join(" | ")} | -v | --version)
  if [ -x "$_ch_low" ] && ! [ "$_ch_low" -ef "$0" ]; then exec "$_ch_low" "$@"; fi ;;
esac
_ch_want= _ch_cmd= _ch_log= _ch_format=text _ch_bundle= _ch_plan=stale _ch_closed=1 _ch_sed=

_ch_refuse() {
  _ch_line=$1
  if [ ! "$_ch_line" ]; then
    _ch_text="container-hooks: $2"
    echo "$_ch_text" >&2
    _ch_time=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    case $_ch_format in
    json) _ch_line="{\\"level\\":\\"error\\",\\"msg\\":\\"$_ch_text\\",\\"time\\":\\"$_ch_time\\"}" ;;
    *) _ch_line="time=\\"$_ch_time\\" level=error msg=\\"$_ch_text\\"" ;;
    esac
  fi
  if [ "$_ch_log" ]; then printf '%s\\n' "$_ch_line" >>"$_ch_log"; fi
  exit 1
}

# Looks at the container. 0: go on; 3: refused, and its output says why for the runtime's log.
_ch_help() {
  _ch_line=$(
    unset CDPATH
    cd -- "\${_ch_bundle:-.}" &&
      exec ${shellWord(options.env)} -i ${options.helper.map(shellWord).join(" ")} inject "$_ch_plan" "$_ch_format" </dev/null
  )
  case $? in
  0) ;;
  3) _ch_refuse "$_ch_line" ;;
  *) if [ "$_ch_closed" ]; then _ch_refuse "" "the helper that looks at the rules cannot run; see container-hooks-ctk hooks validate"; fi ;;
  esac
}

for _ch_a do
  case $_ch_want in
  log) _ch_log=$_ch_a _ch_want= && continue ;;
  format) _ch_format=$_ch_a _ch_want= && continue ;;
  bundle) _ch_bundle=$_ch_a _ch_want= && continue ;;
  value) _ch_want= && continue ;;
  maybe)
    _ch_want=
    case $_ch_a in
    create | run | restore | -*) ;;
    ${otherCommands.join(" | ")}) break ;;
    *) continue ;;
    esac
    ;;
  esac
  if [ ! "$_ch_cmd" ]; then
    case $_ch_a in
    create | run | restore) _ch_cmd=$_ch_a ;;
    --log | -log | -l) _ch_want=log ;;
    --log=* | -log=*) _ch_log=\${_ch_a#*=} ;;
    --log-format | -log-format) _ch_want=format ;;
    --log-format=* | -log-format=*) _ch_format=\${_ch_a#*=} ;;
    ${both(valuedGlobals)}) _ch_want=value ;;
    ${both(switches)} | --) ;;
    -h | --help | -help | -v | --version | -version | -V) break ;;
    -*=*) ;;
    -?*) _ch_want=maybe ;;
    *) break ;;
    esac
  else
    case $_ch_a in
    --bundle | -bundle | --b | -b) _ch_want=bundle ;;
    --bundle=* | -bundle=* | --b=* | -b=*) _ch_bundle=\${_ch_a#*=} ;;
    ${both(valuedFlags)}) _ch_want=value ;;
    -h | --help | -help)
      _ch_cmd=
      break
      ;;
    --) break ;;
    esac
  fi
done

if [ "$_ch_cmd" ] && [ -r "\${_ch_bundle:-.}/config.json" ]; then
  if [ -r ${shellWord(options.plan)} ]; then . ${shellWord(options.plan)}; fi
  _ch_json=\${_ch_bundle:-.}/config.json
  case $_ch_plan in
  none) ;;
${options.sed === undefined ? "" : staticCase(options.sed)}  *) _ch_help ;;
  esac
fi

for _ch_a in "$_ch_low" ${options.alternatives.map(shellWord).join(" ")}; do
  if [ "$_ch_a" -ef "$0" ] || [ ! -x "$_ch_a" ]; then continue; fi
  exec "$_ch_a" "$@"
done
_ch_refuse "" "no low-level runtime: $_ch_low is gone"
`;
