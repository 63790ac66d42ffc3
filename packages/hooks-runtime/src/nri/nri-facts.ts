import type { Container, PodSandbox } from "@aeon/proto/nri";
import type { ContainerFacts } from "../rules/container-facts.ts";
import { isOwnMount } from "../spec/own-mounts.ts";

const imageAnnotations = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];

/** What a runtime tells of a container over NRI; the container's own labels and annotations win over its pod's. */
export function nriFacts(pod: PodSandbox, container: Container): ContainerFacts {
  const annotations = { ...pod.annotations, ...container.annotations };
  const image = imageAnnotations.map((name) => annotations[name]).find((value) => value !== undefined);
  const [command] = container.args;
  return {
    namespace: pod.namespace,
    pod: pod.name,
    container: container.name,
    runtimeHandler: pod.runtimeHandler,
    role: "container",
    annotations,
    labels: { ...pod.labels, ...container.labels },
    hasBindMounts: container.mounts.some(
      ({ type, options, destination }) =>
        (type === "bind" || options.includes("bind") || options.includes("rbind")) &&
        !isOwnMount(destination),
    ),
    ...(image !== undefined && { image }),
    ...(command !== undefined && { command }),
  };
}
