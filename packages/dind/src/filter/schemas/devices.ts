import type { DeviceConfig } from "../filter-config.ts";
import { denied } from "../refusal.ts";
import { JsonNumber, type JsonObject } from "../json/json-value.ts";
import { integer, ignored, list, map, show, text, refine, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";

/** Device nodes that the main container has itself, under their own path. */
export const devices = ({ nodes = [] }: DeviceConfig): Schema =>
  list(
    refine(
      struct({
        PathOnHost: text({ max: 4096 }),
        PathInContainer: text({ max: 4096 }),
        CgroupPermissions: text({ pattern: /^[rwm]{0,3}$/ }),
      }),
      (value, { at }) => {
        const path = value instanceof Map ? value.get("PathOnHost") : undefined;
        if (typeof path !== "string" || !nodes.includes(path))
          throw denied(
            at,
            `the device ${show(path ?? "")} is not one of the pod's; it has ${nodes.join(", ") || "none"}`,
          );
        return value;
      },
    ),
  );

/** `--gpus` means the pod's own GPUs, whatever number is asked for. */
export const deviceRequests = ({ gpus = [] }: DeviceConfig): Schema =>
  list(
    refine(
      struct({
        Driver: text({ max: 64 }),
        Count: integer(),
        DeviceIDs: list(text({ max: 256 })),
        Capabilities: list(list(text({ max: 64 }))),
        Options: map(ignored),
      }),
      (value, { at }) => {
        if (gpus.length === 0) throw denied(at, "this pod has no GPUs; leave --gpus out");
        const wanted = value instanceof Map ? value.get("DeviceIDs") : undefined;
        const names = Array.isArray(wanted) ? wanted.map(String) : [];
        const ids = names.map((name) => {
          const found = gpus.find((gpu) => gpu === name || gpu.endsWith(`=${name}`));
          if (found === undefined)
            throw denied(at, `${show(name)} is not one of the pod's: ${gpus.join(", ")}`);
          return found;
        });
        const request: JsonObject = new Map();
        request.set("Driver", "cdi");
        request.set("Count", new JsonNumber(0));
        request.set("DeviceIDs", ids.length > 0 ? ids : gpus);
        return request;
      },
    ),
  );
