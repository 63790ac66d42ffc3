import { JsonNumber, isArray, type JsonValue, plainText } from "../json/json-value.ts";
import { denied, malformed } from "../refusal.ts";
import {
  flag,
  ignored,
  integer,
  list,
  map,
  oneOf,
  text,
  refine,
  unset,
  type Schema,
} from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import { labels } from "./config.ts";
import { checkTmpfsOptions } from "./tmpfs.ts";

export const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

const shape = struct({
  Type: oneOf(["bind", "volume", "tmpfs", "image"]),
  Source: text({ max: 4096 }),
  Target: text({ max: 4096 }),
  ReadOnly: flag,
  Consistency: ignored,
  BindOptions: struct({
    Propagation: oneOf(["", "private", "rprivate"]),
    NonRecursive: flag,
    CreateMountpoint: flag,
    ReadOnlyNonRecursive: flag,
    ReadOnlyForceRecursive: flag,
  }),
  VolumeOptions: struct({
    NoCopy: flag,
    Labels: labels,
    Subpath: text({ max: 4096 }),
    // Checked with the rules for volumes, which know about devices.
    DriverConfig: struct({ Name: oneOf(["", "local"]), Options: map(text({ max: 4096 })) }),
  }),
  ImageOptions: struct({ Subpath: text({ max: 4096 }) }),
  TmpfsOptions: struct({
    SizeBytes: integer({ min: 0n }),
    Mode: integer({ min: 0n, max: 0o7777n }),
    Options: list(list(text({ max: 256 }))),
  }),
  ClusterOptions: unset("cluster volumes are not available"),
});

/** One element of `HostConfig.Mounts`. */
export const mount: Schema = refine(shape, (value, { at }) => {
  if (!(value instanceof Map)) return undefined;
  const type = value.get("Type");
  const source = value.get("Source") ?? "";
  if (type === undefined) throw denied(at, "Type has to be bind, volume, tmpfs or image");
  if (!isAbsolute(value.get("Target"))) throw malformed(`${at}.Target`, "has to be an absolute path");
  if (type === "bind" && !isAbsolute(source)) throw malformed(`${at}.Source`, "has to be an absolute path");
  if (type === "volume" && source !== "" && !volumeName.test(plainText(source)))
    throw denied(`${at}.Source`, "is no name of a volume");
  for (const [owner, option] of optionOwners)
    if (type !== owner && value.get(option) !== undefined) {
      if (!isEmptyMap(value.get(option)))
        throw malformed(`${at}.${option}`, `does not belong to a mount of type ${plainText(type)}`);
      value.delete(option);
    }
  const options = value.get("TmpfsOptions");
  if (options instanceof Map) checkOptionLists(options.get("Options"), `${at}.TmpfsOptions`);
  return value;
});

const optionOwners = [
  ["bind", "BindOptions"],
  ["volume", "VolumeOptions"],
  ["image", "ImageOptions"],
  ["tmpfs", "TmpfsOptions"],
] as const;

const isAbsolute = (value: JsonValue | undefined): boolean =>
  typeof value === "string" && value.startsWith("/");
const isEmptyMap = (value: JsonValue | undefined): boolean => value instanceof Map && value.size === 0;

function checkOptionLists(value: JsonValue | undefined, at: string): void {
  if (!isArray(value)) return;
  for (const pair of value) if (isArray(pair)) checkTmpfsOptions(pair.map(plain).join("="), at);
}

const plain = (value: JsonValue): string => (value instanceof JsonNumber ? value.text : plainText(value));
