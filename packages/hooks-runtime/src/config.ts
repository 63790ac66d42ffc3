import { absolutePath } from "@aeon/core";
import * as v from "valibot";

/** The table `[hooks]` of the agent's configuration. */
export const hooksConfig = v.strictObject({
  path: v.optional(
    v.pipe(absolutePath(), v.description("file of hook rules")),
    "/etc/container-hooks/hooks.json",
  ),
  "hooks-d": v.optional(
    v.pipe(v.array(absolutePath()), v.description("folders of hooks.d files, later ones mask earlier ones")),
    [],
  ),
  "nri-config": v.optional(
    v.pipe(absolutePath(), v.description("containerd's configuration, to know its NRI policy")),
    "/etc/containerd/config.toml",
  ),
  record: v.optional(
    v.pipe(v.boolean(), v.description("keep how hooks ran of rules that do not say")),
    false,
  ),
  toolkit: v.optional(
    v.pipe(absolutePath(), v.description("state folder of container-hooks-runtime, for its runs")),
    "/var/lib/container-hooks",
  ),
  nri: v.optional(v.pipe(v.boolean(), v.description("inject rules into pods' containers over NRI")), true),
  "nri-socket": v.optional(
    v.pipe(absolutePath(), v.description("NRI socket of the container runtime")),
    "/var/run/nri/nri.sock",
  ),
});

export type HooksConfig = v.InferOutput<typeof hooksConfig>;
