import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { snapshotKey, type Labels, type SnapshotKind } from "@aeon/core";
import { errors } from "../errors.ts";
import type { SnapshotRecord } from "./record.ts";

/** A record as named SQL parameters. */
export function rowOf(record: SnapshotRecord): Record<string, SQLInputValue> {
  return {
    id: record.id,
    name: record.key,
    parent: record.parent ?? null,
    kind: record.kind,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
    labels: JSON.stringify(record.labels),
    size: record.usage?.size ?? null,
    inodes: record.usage?.inodes ?? null,
  };
}

/** A record from a row that was read with big integers. */
export function recordOf(row: Record<string, SQLOutputValue>): SnapshotRecord {
  const { id, name, parent, kind, created_at, updated_at, labels, size, inodes } = row;
  if (
    typeof id !== "bigint" ||
    typeof name !== "string" ||
    typeof created_at !== "bigint" ||
    typeof updated_at !== "bigint" ||
    typeof labels !== "string" ||
    !isKind(kind)
  )
    throw errors.SNAPSHOT_RECORD_DAMAGED(`snapshot record ${String(id)} is damaged`);
  return {
    id: Number(id),
    key: snapshotKey(name),
    ...(typeof parent === "bigint" ? { parent: Number(parent) } : {}),
    kind,
    createdAt: created_at,
    updatedAt: updated_at,
    labels: labelsOf(labels, name),
    ...(typeof size === "bigint" && typeof inodes === "bigint" ? { usage: { size, inodes } } : {}),
  };
}

function labelsOf(text: string, name: string): Labels {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null)
    throw errors.SNAPSHOT_RECORD_DAMAGED(`labels of snapshot ${name} are damaged`);
  const labels: Record<string, string> = {};
  for (const [key, label] of Object.entries(value)) if (typeof label === "string") labels[key] = label;
  return labels;
}

const isKind = (value: unknown): value is SnapshotKind =>
  value === "view" || value === "active" || value === "committed";
