import { createHash } from "node:crypto";
import { metadataSchema, parserOf } from "@aeon/kube";
import * as v from "valibot";

const group = "backup.container.io";
export const apiVersion = `${group}/v1alpha1`;
const root = `/apis/${apiVersion}`;

/** Collections of all namespaces. */
export const allBackups = `${root}/rootfsbackups`;
export const allPolicies = `${root}/rootfsbackuppolicies`;
export const allRestores = `${root}/rootfsrestores`;

export const backupPath = (namespace: string, name: string): string =>
  `${root}/namespaces/${namespace}/rootfsbackups/${name}`;

export const restoresIn = (namespace: string): string => `${root}/namespaces/${namespace}/rootfsrestores`;

export const restorePath = (namespace: string, name: string): string =>
  `${root}/namespaces/${namespace}/rootfsrestores/${name}`;

export const policyPath = (namespace: string, name: string): string =>
  `${root}/namespaces/${namespace}/rootfsbackuppolicies/${name}`;

export const podPath = (namespace: string, name: string): string =>
  `/api/v1/namespaces/${namespace}/pods/${name}`;

/** Phases of a RootfsBackup that nothing follows by itself. */
export const phases = [
  "Pending",
  "Capturing",
  "Staged",
  "Packing",
  "Uploading",
  "Verifying",
  "Stored",
  "Failed",
  "NodeLost",
] as const;
export type ObjectPhase = (typeof phases)[number];

const text = v.optional(v.string());
const number = v.optional(v.number());

export const backupObjectSchema = v.object({
  metadata: metadataSchema,
  spec: v.object({ pod: v.string(), container: v.string(), maxPause: v.optional(v.number()) }),
  status: v.optional(v.object({ id: text, phase: v.optional(v.picklist(phases)), node: text })),
});
/** A RootfsBackup, as far as the agent reads it. */
export type BackupObject = v.InferOutput<typeof backupObjectSchema>;
export const parseBackupObject = parserOf(backupObjectSchema);

export const restoreObjectSchema = v.object({
  metadata: metadataSchema,
  spec: v.object({ pod: v.string(), container: v.string(), backup: v.string() }),
  status: v.optional(
    v.object({
      phase: v.optional(v.picklist(["Pending", "Waiting", "Restoring", "Restored", "Failed"])),
      reason: text,
    }),
  ),
});
/** A RootfsRestore, as far as the agent reads it. */
export type RestoreObject = v.InferOutput<typeof restoreObjectSchema>;
export const parseRestoreObject = parserOf(restoreObjectSchema);

export const policySpecSchema = v.object({
  selector: v.object({ matchLabels: v.optional(v.record(v.string(), v.string()), {}) }),
  containers: v.optional(v.array(v.string())),
  schedule: text,
  restore: v.optional(v.picklist(["auto", "never"])),
  retention: v.optional(
    v.object({
      keepLast: number,
      keepHourly: number,
      keepDaily: number,
      keepWeekly: number,
      maxAge: text,
      maxBytes: text,
    }),
  ),
});
export type PolicySpec = v.InferOutput<typeof policySpecSchema>;
const policySchema = v.object({ metadata: metadataSchema, spec: policySpecSchema });
/** A RootfsBackupPolicy. */
export type Policy = v.InferOutput<typeof policySchema>;
export const parsePolicy = parserOf(policySchema);

export const podSchema = v.object({
  metadata: metadataSchema,
  spec: v.object({
    nodeName: text,
    containers: v.array(v.object({ name: v.string() })),
    terminationGracePeriodSeconds: v.optional(v.number()),
  }),
  status: v.optional(
    v.object({
      phase: text,
      reason: text,
      containerStatuses: v.optional(v.array(v.object({ name: v.string(), containerID: text })), []),
    }),
  ),
});
/** A pod, without all that backups do not need. */
export type Pod = v.InferOutput<typeof podSchema>;
export const parsePod = parserOf(podSchema);

/** On a RootfsBackup: the node whose agent looks after it. */
export const nodeLabel = `${group}/node`;

/** On a RootfsBackup: the pod whose files it holds. */
export const podLabel = `${group}/pod`;

/** A name as the value of a label, which must be shorter than names of nodes and pods may be. */
export const labelValue = (name: string): string => (name.length <= 63 ? name : shortHash(name));

export const shortHash = (value: string): string =>
  createHash("sha256").update(value).digest("hex").slice(0, 40);
