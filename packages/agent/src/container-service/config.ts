import * as v from "valibot";

/** The table `container-service`. */
export const containerServiceConfig = v.strictObject({
  "default-policy": v.optional(
    v.pipe(
      v.picklist(["annotation", "all", "none"]),
      v.description(
        "which containers get a socket to the agent: those with aeon.io/container-service=true as an annotation or a label, all that do not say false, or none",
      ),
    ),
    "annotation",
  ),
  services: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.nonEmpty())),
      v.description('services that containers may use; ["*"] for all'),
    ),
    ["*"],
  ),
  authentication: v.optional(
    v.pipe(
      v.picklist(["auto", "token", "socket"]),
      v.description(
        "how pods prove who they are: by their ServiceAccount token, or by the socket alone; auto asks for tokens where there is Kubernetes",
      ),
    ),
    "auto",
  ),
  audiences: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.nonEmpty())),
      v.minLength(1),
      v.description("audiences of ServiceAccount tokens, any of which will do"),
    ),
    ["aeon"],
  ),
  "calls-per-second": v.optional(
    v.pipe(v.number(), v.minValue(0.1), v.maxValue(10_000), v.description("calls of one pod, over time")),
    20,
  ),
  "concurrent-calls": v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(1000),
      v.description("calls of one pod at the same time"),
    ),
    16,
  ),
});

export type ContainerServiceConfig = v.InferOutput<typeof containerServiceConfig>;
