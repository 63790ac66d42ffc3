import { denied } from "../refusal.ts";
import type { JsonObject } from "../json/json-value.ts";
import { map, text, refine, type Schema } from "../schema/schema.ts";

const ipc = /^(kernel\.(shm\w+|msg\w+|sem)|fs\.mqueue\.\w+)$/;
const net = /^net\.[a-z0-9_.*-]+$/i;

/** Kernel settings of the container's own namespaces; `net.*` only when `ownNetwork`. Names go out with dots. */
export const sysctls = (ownNetwork: () => boolean): Schema =>
  refine(map(text({ max: 4096, pattern: /^[\x20-\x7e\t]*$/ })), (value, { at }) => {
    const result: JsonObject = new Map();
    if (!(value instanceof Map)) return undefined;
    for (const [key, setting] of value) {
      const name = key.replaceAll("/", ".");
      if (!ipc.test(name) && !(net.test(name) && ownNetwork()))
        throw denied(
          `${at}[${key}]`,
          "this setting is not the container's own; use kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, or net.* on a network of its own",
        );
      if (result.has(name)) throw denied(`${at}[${key}]`, "the setting appears twice");
      result.set(name, setting);
    }
    return result;
  });
