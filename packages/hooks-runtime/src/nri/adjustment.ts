import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ContainerAdjustmentSchema, HookSchema } from "@aeon/proto/nri";
import type { Injection } from "../rules/injection.ts";
import type { Hook } from "../rules/rule.ts";
import type { Stage } from "../rules/stage.ts";

/** Tells containers that got rules over NRI, by the names of the rules. */
export const appliedAnnotation = "hooks.aeon.io/applied";

/** An injection as NRI has it. A runtime appends hooks to those a container has: first and last come to the same. */
export function adjustmentOf({
  rules,
  hooks,
  env,
  mounts,
  annotations,
}: Injection): MessageInitShape<typeof ContainerAdjustmentSchema> {
  const at = (stage: Stage) => [...(hooks[stage]?.first ?? []), ...(hooks[stage]?.last ?? [])].map(nriHook);
  return {
    annotations: rules.length === 0 ? {} : { ...annotations, [appliedAnnotation]: rules.join(",") },
    env: env.map((variable) => {
      const equals = variable.indexOf("=");
      return { key: variable.slice(0, equals), value: variable.slice(equals + 1) };
    }),
    mounts: mounts.map(({ destination, type, source, options }) => ({
      destination,
      type: type ?? "",
      source: source ?? "",
      options: [...(options ?? [])],
    })),
    hooks: {
      prestart: at("prestart"),
      createRuntime: at("createRuntime"),
      createContainer: at("createContainer"),
      startContainer: at("startContainer"),
      poststart: at("poststart"),
      poststop: at("poststop"),
    },
  };
}

const nriHook = ({ path, args, env, timeout }: Hook): MessageInitShape<typeof HookSchema> => ({
  path,
  args: [...(args ?? [])],
  env: [...(env ?? [])],
  ...(timeout !== undefined && { timeout: { value: BigInt(timeout) } }),
});
