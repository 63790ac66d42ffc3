/**
 * File names of an overlay's upper directory and their form in an OCI layer, where a name that starts with
 * `.wh.` deletes. A real file of such a name gets `.aeon` in front, and so does a real name that already looks
 * escaped; therefore every name has exactly one form and the other way round.
 */
const whiteoutPrefix = Buffer.from(".wh.");
const escapePrefix = Buffer.from(".aeon");
const looksReserved = /^(?:\.aeon)*\.wh\./;
const looksEscaped = /^(?:\.aeon)+\.wh\./;

/** The order of names in a layer. */
export const byBytes = (a: Buffer, b: Buffer): number => a.compare(b);

/** Marks a directory that hides what lower layers have in it. */
export const opaqueMarker: Buffer = Buffer.from(".wh..wh..opq");

const dot = 0x2e;
const matches = (pattern: RegExp, name: Buffer): boolean =>
  name[0] === dot && pattern.test(name.toString("latin1"));

/** The form in a layer of a file that exists. */
export const layerName = (name: Buffer): Buffer =>
  matches(looksReserved, name) ? Buffer.concat([escapePrefix, name]) : name;

/** The form in a layer of a file that was deleted. */
export const whiteoutName = (name: Buffer): Buffer => Buffer.concat([whiteoutPrefix, layerName(name)]);

/** What a name in a layer says. */
export type LayerName =
  | { readonly kind: "file"; readonly name: Buffer }
  | { readonly kind: "whiteout"; readonly name: Buffer }
  | { readonly kind: "opaque" };

/** Reads a name in a layer. A whiteout without a name gives an empty one, which no caller may accept. */
export function parseLayerName(name: Buffer): LayerName {
  if (name.equals(opaqueMarker)) return { kind: "opaque" };
  if (name.subarray(0, whiteoutPrefix.length).equals(whiteoutPrefix))
    return { kind: "whiteout", name: fileName(name.subarray(whiteoutPrefix.length)) };
  return { kind: "file", name: fileName(name) };
}

/** The real name of a file that a layer's name stands for. */
export const fileName = (name: Buffer): Buffer =>
  matches(looksEscaped, name) ? name.subarray(escapePrefix.length) : name;
