import { knownFacts, type HooksService } from "@aeon/hooks-runtime";
import type { admin } from "@aeon/proto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AdminDeps } from "./deps.ts";
import { errors } from "./errors.ts";
import { running } from "./require.ts";
import { timestampFromNanoseconds } from "./timestamp.ts";

const serviceOf = (deps: AdminDeps): HooksService => running(deps.hooks(), "the hooks plugin");

/** The rules in force and what is known of the runtime. */
export async function listHookRules(
  deps: AdminDeps,
): Promise<MessageInitShape<typeof admin.ListHookRulesResponseSchema>> {
  const service = serviceOf(deps);
  const { plan, failure = "" } = await service.rules();
  const nri = service.nri();
  return {
    rules: plan.rules.map(({ name, origin, order, onFailure, hooks, env, mounts, annotations }) => ({
      name,
      origin,
      order: BigInt(order),
      onFailure,
      hooks: Object.fromEntries(Object.entries(hooks).map(([stage, list]) => [stage, list.length])),
      env: env.length,
      mounts: mounts.length,
      annotations: Object.keys(annotations).length,
    })),
    failure,
    ...(nri && {
      nri: {
        socket: nri.socket,
        connected: nri.health.ok,
        failure: nri.health.ok ? "" : nri.health.reason,
        runtime: nri.runtime,
        ...(nri.failClosed !== undefined && { failClosed: nri.failClosed }),
        missed: nri.missed.map(({ rules, ...container }) => ({ ...container, rules: [...rules] })),
      },
    }),
  };
}

/** Which rules a container with these facts would get. Throws `ADMIN_FIELD_INVALID` for an unknown role. */
export async function explainHooks(
  deps: AdminDeps,
  request: admin.ExplainHooksRequest,
): Promise<MessageInitShape<typeof admin.ExplainHooksResponseSchema>> {
  const { role } = request;
  if (role !== undefined && role !== "container" && role !== "sandbox")
    throw errors.ADMIN_FIELD_INVALID(`field role is ${JSON.stringify(role)}, not "container" or "sandbox"`, {
      details: { field: "role" },
    });
  const explanations = await serviceOf(deps).explain(knownFacts({ ...request, role }));
  return {
    explanations: explanations.map(({ rule: { name, origin }, applies, reasons }) => ({
      rule: name,
      origin,
      ...(applies !== undefined && { applies }),
      reasons: reasons.map(({ text }) => text),
    })),
  };
}

/** The kept runs that the request selects, the latest first. */
export async function listHookRuns(
  deps: AdminDeps,
  { rule, containerId, failed, limit }: admin.ListHookRunsRequest,
): Promise<MessageInitShape<typeof admin.ListHookRunsResponseSchema>> {
  const runs = (await serviceOf(deps).runs())
    .filter((run) => rule === "" || run.rule === rule)
    .filter((run) => containerId === "" || run.containerId === containerId)
    .filter(({ status }) => !failed || status !== 0)
    .slice(0, limit === 0 ? undefined : limit);
  return {
    runs: runs.map(({ policy, startedAt, endedAt, namespace = "", pod = "", container = "", ...run }) => ({
      ...run,
      namespace,
      pod,
      container,
      onFailure: policy,
      startedAt: timestampFromNanoseconds(startedAt),
      endedAt: timestampFromNanoseconds(endedAt),
    })),
  };
}
