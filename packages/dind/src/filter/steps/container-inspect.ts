import { decodeJson } from "../json/decode-json.ts";
import { encodeJson } from "../json/encode-json.ts";
import { isArray } from "../json/json-value.ts";
import { parseBind } from "../schemas/bind.ts";
import { objectAt, textAt, type Pending, type StepContext } from "./step.ts";

/** Shows binds as they were asked for: clients make containers anew from what inspect tells. */
export function restoreBinds(context: StepContext): Pending {
  return {
    answered(status, text) {
      const id = status === 200 ? /^\{"Id":"([0-9a-f]{64})"/.exec(text)?.[1] : undefined;
      const binds = id === undefined ? undefined : context.pins.bindsOf(id);
      if (binds === undefined) return text;
      const container = decodeJson(Buffer.from(text));
      if (!(container instanceof Map)) return text;
      const host = objectAt(container, "HostConfig");
      const targets = new Set(binds.map(targetOf));
      const mounts = host.get("Mounts");
      if (isArray(mounts)) {
        const others = mounts.filter(
          (mount) => !(mount instanceof Map) || !targets.has(textAt(mount, "Target")),
        );
        if (others.length > 0) host.set("Mounts", others);
        else host.delete("Mounts");
      }
      const named = host.get("Binds");
      host.set("Binds", [...(isArray(named) ? named : []), ...binds]);
      return encodeJson(container);
    },
    failed: () => undefined,
  };
}

function targetOf(spec: string): string {
  const bind = parseBind(spec, "HostConfig.Binds");
  return bind.kind === "path" ? bind.target : "";
}
