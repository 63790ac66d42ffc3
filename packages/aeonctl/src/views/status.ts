import { admin } from "@aeon/proto";
import { formatFacts, formatTable, type Column } from "../format/table.ts";
import { humanDuration } from "../format/duration.ts";
import { printable } from "../format/printable.ts";
import type { Style } from "../format/style.ts";
import { enumName } from "./enum-name.ts";
import { isoTime, shortTime } from "./timestamp.ts";

/** What `aeonctl status` says. A count is null while the part that knows it is not running. */
export interface StatusView {
  readonly ready: boolean;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string | null;
  readonly uptimeSeconds: number;
  readonly root: string;
  readonly state: string;
  readonly containerd: {
    readonly address: string;
    readonly connected: boolean;
    readonly version: string | null;
    readonly revision: string | null;
    readonly failure: string | null;
  } | null;
  readonly plugins: readonly PluginView[];
  readonly counts: {
    readonly snapshots: {
      readonly view: number | null;
      readonly active: number | null;
      readonly committed: number | null;
    };
    readonly containers: number | null;
    readonly backups: number | null;
    readonly backupsPending: number | null;
    readonly restoresPending: number | null;
  };
  readonly sockets: readonly { readonly name: string; readonly address: string }[];
}

/** One plugin of the agent in `aeonctl status`. */
export interface PluginView {
  readonly name: string;
  /** `starting`, `ready`, `failed` or `stopped`. */
  readonly state: string;
  /** Why it last failed. */
  readonly failure: string | null;
  readonly restarts: number;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly reason: string | null }[];
}

const numberOf = (value: bigint | undefined): number | null => (value === undefined ? null : Number(value));

export function statusView(status: admin.GetStatusResponse, now: Date): StatusView {
  const { containerd, counts } = status;
  const startedAt = isoTime(status.startedAt);
  return {
    ready: status.ready,
    version: status.version,
    pid: status.pid,
    startedAt,
    uptimeSeconds:
      startedAt === null ? 0 : Math.max(0, Math.floor((now.getTime() - Date.parse(startedAt)) / 1000)),
    root: status.root,
    state: status.state,
    containerd:
      containerd === undefined
        ? null
        : {
            address: containerd.address,
            connected: containerd.connected,
            version: containerd.version || null,
            revision: containerd.revision || null,
            failure: containerd.failure || null,
          },
    plugins: status.plugins.map((plugin) => ({
      name: plugin.name,
      state: enumName(admin.PluginState, plugin.state),
      failure: plugin.failure || null,
      restarts: plugin.restarts,
      checks: plugin.checks.map(({ name, ok, reason }) => ({ name, ok, reason: reason || null })),
    })),
    counts: {
      snapshots: {
        view: numberOf(counts?.views),
        active: numberOf(counts?.active),
        committed: numberOf(counts?.committed),
      },
      containers: numberOf(counts?.containers),
      backups: numberOf(counts?.backups),
      backupsPending: numberOf(counts?.backupsPending),
      restoresPending: numberOf(counts?.restoresPending),
    },
    sockets: status.sockets.map(({ name, address }) => ({ name, address })),
  };
}

const pluginColumns: readonly Column<PluginView>[] = [
  { title: "PLUGIN", text: ({ name }) => name },
  {
    title: "STATE",
    text: ({ state }) => state,
    paint: (text, { state }, style) =>
      state === "ready" ? style.good(text) : state === "failed" ? style.bad(text) : style.busy(text),
  },
  { title: "RESTARTS", text: ({ restarts }) => String(restarts), align: "right" },
  { title: "HEALTH", text: healthOf },
];

function healthOf({ failure, checks }: PluginView): string {
  const faults = checks.filter(({ ok }) => !ok).map(({ name, reason }) => `${name}: ${reason ?? "failed"}`);
  if (faults.length > 0) return faults.join("; ");
  return failure ?? (checks.length > 0 ? "ok" : "");
}

const known = (value: number | null, say: (value: number) => string): string =>
  value === null ? "unknown" : say(value);
const count = (value: number | null): string => known(value, String);

/** The table of `aeonctl status`. */
export function statusTable(view: StatusView, style: Style): string {
  const { counts, containerd } = view;
  const facts: [string, string | null][] = [
    ["aeon", `${view.version}, ${view.ready ? style.good("ready") : style.bad("not ready")}`],
    [
      "process",
      `${view.pid}, up ${humanDuration(view.uptimeSeconds * 1000)} since ${shortTime(view.startedAt)}`,
    ],
    ["containerd", containerd === null ? null : containerdText(containerd, style)],
    [
      "snapshots",
      known(
        counts.snapshots.active,
        () =>
          `${count(counts.snapshots.committed)} committed, ${count(counts.snapshots.active)} active, ${count(counts.snapshots.view)} views`,
      ),
    ],
    ["containers", count(counts.containers)],
    ["backups", known(counts.backups, (all) => `${all}, ${count(counts.backupsPending)} not stored yet`)],
    ["restores", known(counts.restoresPending, (pending) => `${pending} waiting`)],
    ["root", printable(view.root)],
    ["state", printable(view.state)],
    ...view.sockets.map(({ name, address }): [string, string] => [`socket ${name}`, printable(address)]),
  ];
  return `${formatFacts(facts, style)}\n${formatTable(view.plugins, pluginColumns, style)}`;
}

function containerdText(containerd: NonNullable<StatusView["containerd"]>, style: Style): string {
  const address = printable(containerd.address);
  return containerd.connected
    ? `${printable(containerd.version ?? "")} at ${address}, ${style.good("connected")}`
    : `${address}, ${style.bad("not connected")}: ${printable(containerd.failure ?? "")}`;
}
