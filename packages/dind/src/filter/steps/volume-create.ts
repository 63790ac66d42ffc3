import { decodeJson } from "../json/decode-json.ts";
import type { JsonValue } from "../json/json-value.ts";
import { malformed, Refusal } from "../refusal.ts";
import { translateText } from "../paths/translate.ts";
import { objectAt, textAt, type Pending, type StepContext } from "./step.ts";
import { pinVolumeDevice } from "./volume-device.ts";

/** Pins the device of a `POST /volumes/create`. A volume of that name with other options is a conflict, not a success. */
export async function prepareVolume(body: JsonValue | undefined, context: StepContext): Promise<Pending> {
  if (!(body instanceof Map)) throw malformed("", "the body has to be an object");
  const asked = new Map(objectAt(body, "DriverOpts"));
  const existing = asked.size > 0 ? await optionsOf(textAt(body, "Name"), context) : undefined;
  if (existing !== undefined && existing.get("device") !== asked.get("device"))
    throw new Refusal(
      409,
      "volume-differs",
      "Name",
      `a volume named ${textAt(body, "Name")} is there with other options; remove it or choose another name`,
    );
  if (existing !== undefined) body.set("DriverOpts", new Map());
  const { options, id } =
    existing === undefined
      ? await pinVolumeDevice(context, body.get("DriverOpts"), "DriverOpts")
      : { options: new Map<string, JsonValue>(), id: undefined };
  body.set("Driver", "local");
  body.set("DriverOpts", options);
  const ids = id === undefined ? [] : [id];
  return {
    async answered(status, text) {
      if (status === 201) context.pins.settle(ids);
      else await context.pins.release(ids);
      return text;
    },
    failed: () => context.pins.settle(ids),
  };
}

/** Options of a volume as its creator wrote them; undefined when there is none. */
async function optionsOf(
  name: string,
  { upstream, pins }: StepContext,
): Promise<Map<string, JsonValue> | undefined> {
  if (name === "") return undefined;
  const { status, text } = await upstream.call("GET", `/volumes/${encodeURIComponent(name)}`);
  if (status !== 200) return undefined;
  const volume = decodeJson(Buffer.from(translateText(text, pins)));
  return volume instanceof Map ? objectAt(volume, "Options") : new Map();
}
