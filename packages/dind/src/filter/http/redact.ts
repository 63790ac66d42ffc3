import { decodeJson } from "../json/decode-json.ts";
import { encodeJson } from "../json/encode-json.ts";
import type { JsonObject } from "../json/json-value.ts";
import { lowerVersion, schemaVersions } from "./api-version.ts";

/** Removes from what dockerd tells about itself what is none of its containers' business. */
export const redactions: Readonly<Record<string, (answer: JsonObject) => void>> = {
  SystemInfo(info) {
    for (const key of ["HttpProxy", "HttpsProxy"]) {
      const value = info.get(key);
      if (typeof value === "string") info.set(key, value.replace(/\/\/[^/@]*@/, "//***@"));
    }
    if (info.has("DockerRootDir")) info.set("DockerRootDir", "/var/lib/docker");
    info.set("Labels", []);
    const runtimes = info.get("Runtimes");
    if (runtimes instanceof Map)
      for (const name of runtimes.keys()) runtimes.set(name, new Map([["path", name]]));
  },
  SystemVersion(version) {
    const highest = version.get("ApiVersion");
    if (typeof highest !== "string") return;
    const held = lowerVersion(highest, schemaVersions.highest);
    version.set("ApiVersion", held);
    const components = version.get("Components");
    if (!Array.isArray(components)) return;
    for (const component of components) {
      const details: unknown = component instanceof Map ? component.get("Details") : undefined;
      if (details instanceof Map && details.has("ApiVersion")) details.set("ApiVersion", held);
    }
  },
};

/** The redacted text; anything that is no object goes through. */
export function redact(endpoint: string, text: string): string {
  const change = redactions[endpoint];
  if (change === undefined) return text;
  const answer = decodeJson(Buffer.from(text));
  if (!(answer instanceof Map)) return text;
  change(answer);
  return encodeJson(answer);
}
