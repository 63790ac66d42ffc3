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
  nri: v.optional(v.pipe(v.boolean(), v.description("inject rules into pods' containers over NRI")), true),
  "nri-socket": v.optional(
    v.pipe(absolutePath(), v.description("NRI socket of the container runtime")),
    "/var/run/nri/nri.sock",
  ),
  "runtime-config": v.optional(
    v.pipe(
      absolutePath(),
      v.description("configuration of containerd, read to tell whether it refuses containers without aeon"),
    ),
    "/etc/containerd/config.toml",
  ),
  record: v.optional(
    v.pipe(v.boolean(), v.description("keep output, duration and exit of hooks of rules that do not say")),
    false,
  ),
  "toolkit-state": v.optional(
    v.pipe(
      absolutePath(),
      v.description("state folder of container-hooks-runtime, whose runs are shown too"),
    ),
    "/var/lib/container-hooks",
  ),
});

export type HooksConfig = v.InferOutput<typeof hooksConfig>;
