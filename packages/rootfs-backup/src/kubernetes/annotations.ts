import type { Labels } from "@aeon/core";
import {
  containersLabel,
  enabledLabel,
  excludeContainersLabel,
  keyLabel,
  labelPrefix,
  onExitLabel,
  onImageChangeLabel,
  onRestartLabel,
  restoreLabel,
  scheduleLabel,
} from "../capture/labels.ts";
import type { Pod } from "./api.ts";

const oneOf =
  (...values: readonly string[]) =>
  (value: string): boolean =>
    values.includes(value);
const names = (value: string): boolean =>
  value.length <= 4096 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?([\s,]+[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(value);

/** What annotations may say. Values of labels cannot hold commas, spaces or long names. */
const known: Readonly<Record<string, (value: string) => boolean>> = {
  [enabledLabel]: oneOf("true", "false"),
  [containersLabel]: names,
  [excludeContainersLabel]: names,
  [keyLabel]: (value) => /^[\w.-]{1,253}$/.test(value),
  [restoreLabel]: oneOf("auto", "never"),
  [onRestartLabel]: oneOf("keep", "fresh"),
  [onExitLabel]: oneOf("capture", "wait"),
  [onImageChangeLabel]: oneOf("auto", "strict", "rebase", "fresh"),
  [scheduleLabel]: (value) => value.length > 0 && value.length <= 128,
};

/** What a pod's annotations say of its backups, as if its labels said so, and what is wrong with those that are left out. */
export function wishesOfAnnotations(pod: Pod): {
  readonly labels: Labels;
  readonly faults: readonly string[];
} {
  const labels: Record<string, string> = {};
  const faults: string[] = [];
  for (const [name, value] of Object.entries(pod.metadata.annotations ?? {})) {
    if (!name.startsWith(labelPrefix)) continue;
    const isValid = known[name];
    if (isValid === undefined) faults.push(`annotation ${name} is not known`);
    else if (isValid(value)) labels[name] = value;
    else faults.push(`annotation ${name} cannot be ${JSON.stringify(value.slice(0, 100))}`);
  }
  return { labels, faults };
}
