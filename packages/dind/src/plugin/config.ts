import { absolutePath, byteSize, duration } from "@aeon/core";
import * as v from "valibot";
import { userNamespaceSettings } from "../controller/user-namespace.ts";

const texts = (description: string) =>
  v.optional(v.pipe(v.array(v.string()), v.description(description)), []);

/** The table `[dind]` of the agent's configuration. */
export const dindConfig = v.strictObject({
  image: v.optional(
    v.pipe(v.string(), v.description("name of the image that DinD containers run")),
    "docker.io/library/aeon-dind:latest",
  ),
  "image-archive": v.optional(
    v.pipe(absolutePath(), v.description("archive that the image is imported from when containerd lacks it")),
  ),
  annotations: v.optional(
    v.pipe(
      v.array(v.string()),
      v.description(
        'labels or annotations by which a container gets Docker: "true" at its start, "lazy" at first use',
      ),
    ),
    ["aeon.io/dind", "mizar.k8s.io/dind", "k8s.io/dind"],
  ),
  "disk-limit": v.optional(v.pipe(byteSize(), v.description("disk space of one DinD container")), "20GiB"),
  network: v.optional(
    v.pipe(
      v.picklist(["bridge", "shared", "strict"]),
      v.description("networks that inner containers may have"),
    ),
    "bridge",
  ),
  "address-pool": v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}\.\d{1,3}\.0\.0\/1[2-9]$/, 'Expected a private range such as "172.29.0.0/16"'),
      v.description("addresses of inner networks, outside of those that pods and services have"),
    ),
    "172.29.0.0/16",
  ),
  "registry-mirrors": texts("pull-through caches of registries, for all tenants without their own"),
  "insecure-registries": texts("registries that are spoken to without TLS"),
  "tenant-mirrors": v.optional(
    v.pipe(
      v.array(
        v.pipe(v.string(), v.regex(/^[^=]+=https?:/, 'Expected such as "team-a=https://cache.example"')),
      ),
      v.description(
        "caches of one tenant instead, such as \"team-a=https://cache.example\"; a tenant is a pod's namespace, or containerd's for a container without a pod",
      ),
    ),
    [],
  ),
  "policy-file": v.optional(
    v.pipe(absolutePath(), v.description("rules of the API filter on top of the built-in ones")),
  ),
  "idle-stop": v.optional(
    v.pipe(duration(), v.description("stop a DinD container that nobody uses for so long; 0 for never")),
    0,
  ),
  "user-namespace": v.optional(
    v.pipe(
      v.picklist(userNamespaceSettings),
      v.description(
        "whether DinD containers join the user namespace of pods with `hostUsers: false`; `always` refuses Docker to other pods",
      ),
    ),
    "auto",
  ),
  debug: v.optional(v.pipe(v.boolean(), v.description("dockerd logs more")), false),
});

export type DindConfig = v.InferOutput<typeof dindConfig>;
