import type { JsonObject, JsonValue } from "../json/json-value.ts";
import { volumeOptions } from "../schemas/volume.ts";
import { pinSource } from "./pin-source.ts";
import type { StepContext } from "./step.ts";

/** Decides on the options of the local driver and pins a device that is one of M's folders. Gives the pin's id. */
export async function pinVolumeDevice(
  context: StepContext,
  value: JsonValue | undefined,
  at: string,
): Promise<{ readonly options: JsonObject; readonly id: string | undefined }> {
  const { options, device } = volumeOptions(value, at);
  if (device === undefined) return { options, id: undefined };
  const { path, id, readOnly } = await pinSource(context, device, `${at}[device]`, {
    create: false,
    recursive: true,
  });
  options.set("device", path);
  if (readOnly) options.set("o", "rbind,ro");
  return { options, id };
}
