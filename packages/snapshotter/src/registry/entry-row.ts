import type { SQLInputValue } from "node:sqlite";
import {
  containerId,
  namespace,
  snapshotKey,
  type ContainerEntry,
  type Labels,
  type PodIdentity,
} from "@aeon/core";
import { isContainerState } from "./state.ts";

/** A row as node:sqlite gives it, integers as bigint. */
export type Row = Readonly<Record<string, SQLInputValue | undefined>>;

/** A text column; empty when it is null. */
export function textOf(row: Row, column: string): string {
  const value = row[column];
  return typeof value === "string" ? value : "";
}

/** An integer column; zero when it is null. */
export function integerOf(row: Row, column: string): bigint {
  const value = row[column];
  return typeof value === "bigint" ? value : 0n;
}

/** Reads a row of the table `container`. */
export function entryOfRow(row: Row): ContainerEntry {
  const id = optionalText(row["container_id"]);
  const upperdir = optionalText(row["upperdir"]);
  const image = optionalText(row["image"]);
  const failure = optionalText(row["failure"]);
  // Only this package writes these columns, always from values of these types.
  const labels: Labels = JSON.parse(textOf(row, "labels"));
  const pod: PodIdentity | undefined = JSON.parse(textOf(row, "pod") || "null") ?? undefined;
  const state = row["state"];
  const { exit_code: code, exited_at: at } = row;
  return {
    snapshotKey: snapshotKey(textOf(row, "snapshot_key")),
    namespace: namespace(textOf(row, "namespace")),
    ...(id !== undefined && { containerId: containerId(id) }),
    ...(upperdir !== undefined && { upperdir }),
    ...(image !== undefined && { image }),
    labels,
    ...(pod !== undefined && { pod }),
    sandbox: row["sandbox"] === 1n,
    state: isContainerState(state) ? state : "failed",
    ...(typeof code === "bigint" && typeof at === "bigint" && { exit: { code: Number(code), at } }),
    ...(row["out_of_memory"] === 1n && { outOfMemory: true }),
    ...(failure !== undefined && { failure }),
    createdAt: integerOf(row, "created_at"),
    updatedAt: integerOf(row, "updated_at"),
  };
}

const optionalText = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
