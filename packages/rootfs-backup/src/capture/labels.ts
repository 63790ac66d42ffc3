import type { Labels } from "@aeon/core";

/** What all labels about backups start with. */
export const labelPrefix = "backup.container.io/";

/** On a container, its pod or its snapshot: `"true"` keeps the files, `"false"` does not, whatever the policy. */
export const enabledLabel = `${labelPrefix}enabled`;

/** On a pod: only the containers it names are kept. Names are parted by commas, dots or spaces. */
export const containersLabel = `${labelPrefix}containers`;

/** On a pod: the containers it names are not kept. */
export const excludeContainersLabel = `${labelPrefix}exclude-containers`;

/** On a container or its pod: whether one that is restarted in its pod keeps its files (`keep`) or starts clean (`fresh`). */
export const onRestartLabel = `${labelPrefix}on-restart`;

/** On a container or its pod: whether its files are packed when its task ends (`capture`) or when it is removed (`wait`). */
export const onExitLabel = `${labelPrefix}on-exit`;

/** On a container or its pod: names the workload whose backups follow each other, whatever the container or pod is called. */
export const keyLabel = `${labelPrefix}key`;

/**
 * Whether a workload's name is that of one replica of a Deployment, which the cluster's controller gave. Names of pods
 * and values of labels cannot hold the slash.
 */
export const isSlot = (key: string | undefined): key is string => key?.includes("/") === true;

/** On a container or its pod: `never` starts it clean although its workload has backups. */
export const restoreLabel = `${labelPrefix}restore`;

/** On a container or its pod: what happens when its image is not the one its backup was made on (`auto`, `strict`, `rebase`, `fresh`). */
export const onImageChangeLabel = `${labelPrefix}on-image-change`;

/** Whether a container has to start without the files of its workload. The nearest label decides. */
export const neverRestored = (labels: Labels, podLabels: Labels): boolean =>
  (labels[restoreLabel] ?? podLabels[restoreLabel]) === "never";

/** On a container or its pod: when it is backed up while it runs, as a time span (`15m`) or a cron expression. */
export const scheduleLabel = `${labelPrefix}schedule`;

/** On a backup: the rules of retention that a policy of the cluster gave its workload, as JSON. Containers cannot set it. */
export const retentionLabel = `${labelPrefix}retention`;
