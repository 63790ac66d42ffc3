import type { admin } from "@aeon/proto";
import { formatTable, type Column } from "../format/table.ts";
import type { Style } from "../format/style.ts";
import { printable } from "../format/printable.ts";

/** A rule of `aeonctl hooks ls`. */
export interface HookRuleView {
  readonly name: string;
  /** File and line. */
  readonly origin: string;
  readonly order: number;
  readonly onFailure: string;
  /** Number of hooks by stage. */
  readonly hooks: Readonly<Record<string, number>>;
  readonly env: number;
  readonly mounts: number;
  readonly annotations: number;
}

export const hookRuleView = (rule: admin.HookRule): HookRuleView => ({
  name: rule.name,
  origin: rule.origin,
  order: Number(rule.order),
  onFailure: rule.onFailure,
  hooks: rule.hooks,
  env: rule.env,
  mounts: rule.mounts,
  annotations: rule.annotations,
});

const ruleColumns: readonly Column<HookRuleView>[] = [
  { title: "RULE", text: ({ name }) => name },
  { title: "ORDER", text: ({ order }) => String(order), align: "right" },
  { title: "ON FAILURE", text: ({ onFailure }) => onFailure },
  {
    title: "HOOKS",
    text: ({ hooks }) =>
      Object.entries(hooks)
        .map(([stage, count]) => `${stage} ${count}`)
        .join(", ") || null,
  },
  { title: "ENV", text: ({ env }) => String(env), align: "right" },
  { title: "MOUNTS", text: ({ mounts }) => String(mounts), align: "right" },
  { title: "FROM", text: ({ origin }) => origin },
];

export const hookRuleTable = (views: readonly HookRuleView[], style: Style): string =>
  formatTable(views, ruleColumns, style);

/** `aeonctl hooks status`. */
export interface HookStatusView {
  readonly rules: number;
  /** Why the files as they are now are not in force. */
  readonly failure: string | null;
  readonly nri: {
    readonly socket: string;
    readonly connected: boolean;
    readonly failure: string | null;
    readonly runtime: string | null;
    readonly failClosed: boolean | null;
    readonly missed: readonly {
      readonly id: string;
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly rules: readonly string[];
    }[];
  } | null;
}

export const hookStatusView = ({ rules, failure, nri }: admin.ListHookRulesResponse): HookStatusView => ({
  rules: rules.length,
  failure: failure || null,
  nri:
    nri === undefined
      ? null
      : {
          socket: nri.socket,
          connected: nri.connected,
          failure: nri.failure || null,
          runtime: nri.runtime || null,
          failClosed: nri.failClosed ?? null,
          missed: nri.missed.map((missed) => ({
            id: missed.id,
            namespace: missed.namespace,
            pod: missed.pod,
            container: missed.container,
            rules: missed.rules,
          })),
        },
});

export function hookStatusText({ rules, failure, nri }: HookStatusView, style: Style): string {
  const lines = [
    failure === null
      ? `rules    ${rules} in force`
      : `rules    ${rules} in force; ${style.bad("files refused")}: ${failure}`,
  ];
  if (nri === null) lines.push("NRI      not in use");
  else {
    lines.push(
      `NRI      ${nri.connected ? style.good("connected") : style.bad(nri.failure ?? "not connected")} (${nri.socket})`,
      `runtime  ${nri.runtime ?? "not known"}`,
      `without aeon containers ${
        nri.failClosed === null
          ? "start without hooks, as far as is known"
          : nri.failClosed
            ? "are refused"
            : "start without hooks"
      }`,
    );
    for (const { id, namespace, pod, container, rules: names } of nri.missed)
      lines.push(`missed   ${namespace}/${pod}/${container} ${id}: ${names.join(", ")}`);
  }
  return `${lines.map(printable).join("\n")}\n`;
}

/** One rule of `aeonctl hooks explain`. */
export interface HookExplanationView {
  readonly rule: string;
  readonly origin: string;
  /** Null when the facts do not tell; the rule does not apply then. */
  readonly applies: boolean | null;
  readonly reasons: readonly string[];
}

export const hookExplanationView = (explanation: admin.HookExplanation): HookExplanationView => ({
  rule: explanation.rule,
  origin: explanation.origin,
  applies: explanation.applies ?? null,
  reasons: explanation.reasons,
});

const explanationColumns: readonly Column<HookExplanationView>[] = [
  {
    title: "APPLIES",
    text: ({ applies }) => (applies === null ? "unknown" : applies ? "yes" : "no"),
    paint: (text, { applies }, style) => (applies === true ? style.good(text) : text),
  },
  { title: "RULE", text: ({ rule }) => rule },
  { title: "BECAUSE", text: ({ reasons }) => reasons.join("; ") },
];

export const hookExplanationTable = (views: readonly HookExplanationView[], style: Style): string =>
  formatTable(views, explanationColumns, style);
