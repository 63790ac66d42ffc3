import type { JsonObject, JsonValue } from "../json/json-value.ts";
import { denied } from "../refusal.ts";
import { map, oneOf, text, refine, unset } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { labels } from "./config.ts";
import { checkTmpfsOptions } from "./tmpfs.ts";

/** Body of `POST /volumes/create`; options are decided on by {@link volumeOptions}. */
export const volumeCreate = refine(
  struct({
    Name: text({ max: 255, pattern: /^([a-zA-Z0-9][a-zA-Z0-9_.-]*)?$/, like: "letters, digits, _ . -" }),
    Driver: oneOf(["", "local"]),
    DriverOpts: map(text({ max: 4096 })),
    Labels: labels,
    ClusterVolumeSpec: unset("cluster volumes are not available"),
  }),
  (value) => value,
);

export interface VolumeOptions {
  /** What goes to dockerd; `device` is still M's path when `device` below is set. */
  readonly options: JsonObject;
  /** A folder of M that has to be pinned. */
  readonly device?: string;
}

const bindWords = new Set(["bind", "rbind", "ro", "rw"]);

/**
 * The local driver is mount(2) in dockerd's place, so only three forms go through: no options, a tmpfs, and a bind of
 * one of M's folders.
 */
export function volumeOptions(value: JsonValue | undefined, at: string): VolumeOptions {
  if (!(value instanceof Map) || value.size === 0) return { options: new Map() };
  for (const key of value.keys())
    if (key !== "type" && key !== "o" && key !== "device")
      throw denied(`${at}[${key}]`, "only type, o and device can be set");
  const type = textOf(value, "type");
  const device = textOf(value, "device");
  const words = textOf(value, "o");
  if (type === "tmpfs" && device === "tmpfs") {
    checkTmpfsOptions(words, `${at}[o]`);
    return { options: value };
  }
  const list = words.split(",");
  const binds =
    (type === "none" || type === "bind" || type === "") && list.some((word) => word.endsWith("bind"));
  if (!binds || !list.every((word) => bindWords.has(word)) || !device.startsWith("/"))
    throw denied(
      at,
      "use no options, type=tmpfs with device=tmpfs, or type=none with o=bind and a folder of this container",
      "volume-options",
    );
  const readOnly = list.includes("ro");
  return {
    options: new Map<string, JsonValue>([
      ["type", "none"],
      ["o", readOnly ? "rbind,ro" : "rbind"],
      ["device", device],
    ]),
    device,
  };
}

const textOf = (options: JsonObject, key: string): string => {
  const value = options.get(key);
  return typeof value === "string" ? value : "";
};
