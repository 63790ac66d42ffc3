import { podFolderAnnotation, type Labels, type PodFolderSubject } from "@aeon/core";
import type { ContainerServiceConfig } from "./config.ts";

/** Limits the services of a pod: their names with commas, such as "info,backup". */
export const servicesAnnotation = "aeon.io/container-services";

/** Whether a container gets a socket; what its pod says wins over the configuration. */
export function optedIn(
  { annotations, labels, sandbox }: Pick<PodFolderSubject, "annotations" | "labels" | "sandbox">,
  policy: ContainerServiceConfig["default-policy"],
): boolean {
  if (sandbox || policy === "none") return false;
  const wish = annotations[podFolderAnnotation] ?? labels[podFolderAnnotation];
  return wish === undefined ? policy === "all" : wish === "true" || wish === "enabled";
}

/** The services that a pod's annotation allows; undefined when it has none. */
export function allowedServices(annotations: Labels): ReadonlySet<string> | undefined {
  const text = annotations[servicesAnnotation];
  return text === undefined ? undefined : new Set(text.split(",").map((name) => name.trim()));
}
