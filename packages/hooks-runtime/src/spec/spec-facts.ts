import type { Node } from "jsonc-parser";
import type { ContainerFacts } from "../rules/container-facts.ts";
import { isOwnMount } from "./own-mounts.ts";
import { member, stringMap, stringOf, type SpecText } from "./spec-text.ts";

/** Annotations under which engines tell a fact, the most specific first. */
const annotationNames = {
  namespace: ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"],
  pod: ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"],
  container: ["io.kubernetes.cri.container-name", "io.kubernetes.container.name"],
  image: ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"],
  runtimeHandler: ["io.containerd.cri.runtime-handler", "io.kubernetes.cri-o.RuntimeHandler"],
} as const;
const roleNames = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];
const labelsName = "io.kubernetes.cri-o.Labels";

/** What a config.json tells about its container. */
export function specFacts(spec: SpecText): ContainerFacts {
  const annotations = stringMap(spec, member(spec.root, "annotations"));
  const first = (names: readonly string[]): string | undefined =>
    names.map((name) => annotations[name]).find((value) => value !== undefined);
  const facts = Object.entries(annotationNames).map(([fact, names]) => [fact, first(names)] as const);
  const role = first(roleNames);
  const command = stringOf(spec, member(member(spec.root, "process"), "args")?.children?.[0]);
  const labels = labelsOf(annotations[labelsName]);
  return {
    ...Object.fromEntries(facts.filter(([, value]) => value !== undefined)),
    ...(command !== undefined && { command }),
    ...((role === "sandbox" || role === "container") && { role }),
    ...(labels && { labels }),
    annotations,
    hasBindMounts: hasBindMounts(spec),
  };
}

function labelsOf(text: string | undefined): Readonly<Record<string, string>> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return undefined;
    return Object.fromEntries(Object.entries(value).map(([name, label]) => [name, String(label)]));
  } catch {
    return undefined;
  }
}

function hasBindMounts(spec: SpecText): boolean {
  return (member(spec.root, "mounts")?.children ?? []).some(
    (mount) => isBind(spec, mount) && !isOwnMount(stringOf(spec, member(mount, "destination")) ?? ""),
  );
}

function isBind(spec: SpecText, mount: Node): boolean {
  if (stringOf(spec, member(mount, "type")) === "bind") return true;
  return (member(mount, "options")?.children ?? []).some((option) =>
    /^r?bind$/.test(stringOf(spec, option) ?? ""),
  );
}
