import { humanSize } from "../format/size.ts";
import { printable } from "../format/printable.ts";
import type { ServiceResult } from "./service-client.ts";

type Row = readonly string[];

/** A result for people. */
export function resultText(result: ServiceResult): string {
  const type = text(result["@type"]).split(".").at(-1) ?? "";
  return (views[type] ?? fieldsText)(result);
}

const views: Readonly<Record<string, (result: ServiceResult) => string>> = {
  Info: infoText,
  BackupCreated: (result) => fieldsText(object(result["backup"])),
  BackupList: (result) =>
    columns([["BACKUP", "CONTAINER", "STATE", "SIZE", "CREATED"], ...list(result["backups"]).map(backupRow)]),
  BackupStatus: (result) =>
    columns([
      ["CONTAINER", "STATE", "BACKUPS", "LAST", "LAST STATE", "CREATED"],
      ...list(result["containers"]).map((each) => {
        const container = object(each["container"]);
        const last = object(each["last"]);
        return [
          text(container["name"]),
          text(container["state"]),
          text(each["count"]) || "0",
          text(last["id"]) || "-",
          text(last["state"]) || "-",
          text(last["createdAt"]) || "-",
        ];
      }),
    ]),
};

const backupRow = (backup: ServiceResult): Row => [
  text(backup["id"]),
  text(backup["container"]),
  text(backup["state"]),
  humanSize(Number(backup["bytes"] ?? 0)),
  text(backup["createdAt"]),
];

function infoText(info: ServiceResult): string {
  const pod = object(info["pod"]);
  const facts: Row[] = [
    ["node", text(info["node"])],
    ["agent", text(info["version"])],
    ...(text(pod["name"]) === "" ? [] : [["pod", `${text(pod["namespace"])}/${text(pod["name"])}`]]),
    ...list(info["containers"]).map((each) => [
      "container",
      `${text(each["name"])} (${text(each["state"])})`,
    ]),
    ["known by", text(info["authenticatedBy"])],
    ...list(info["services"]).map((each) => [
      "service",
      `${text(each["name"])}: ${list(each["actions"])
        .map((action) => text(action["name"]))
        .join(", ")}`,
    ]),
  ];
  return columns(facts);
}

/** Every field of a message on a line of its own. */
function fieldsText(result: ServiceResult): string {
  return columns(
    Object.entries(result)
      .filter(([name]) => name !== "@type")
      .map(([name, value]) => [
        name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
        typeof value === "object" ? JSON.stringify(value) : text(value),
      ]),
  );
}

const object = (value: unknown): ServiceResult =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};

const list = (value: unknown): readonly ServiceResult[] => (Array.isArray(value) ? value.map(object) : []);

const text = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? printable(String(value))
    : "";

function columns(rows: readonly Row[]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
