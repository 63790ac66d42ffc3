import type { MetricsRegistry } from "@aeon/core";
import type { PluginStatus } from "../admin/index.ts";
import { text, type HttpReply, type HttpRoutes } from "./serve-http.ts";

export interface HealthSources {
  readonly metrics: MetricsRegistry;
  readonly plugins: () => readonly PluginStatus[];
  /** False once the agent is stopping. */
  readonly accepting: () => boolean;
}

/** `/metrics`, `/healthz` (the process answers) and `/readyz` (every plugin and check is well). */
export function healthPages({ metrics, plugins, accepting }: HealthSources): HttpRoutes {
  return new Map<string, () => HttpReply | Promise<HttpReply>>([
    ["/metrics", async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() })],
    ["/healthz", () => text(200, "ok")],
    ["/readyz", () => readiness(plugins(), accepting())],
  ]);
}

/** A plugin is well when it is ready and all its checks are. */
export const isWell = ({ state, checks }: PluginStatus): boolean =>
  state === "ready" && checks.every(({ health }) => health.ok);

function readiness(plugins: readonly PluginStatus[], accepting: boolean): HttpReply {
  const ready = accepting && plugins.every(isWell);
  const body = JSON.stringify({ ready, ...(accepting ? {} : { stopping: true }), plugins }, undefined, 2);
  return { status: ready ? 200 : 503, type: "application/json", body: `${body}\n` };
}
