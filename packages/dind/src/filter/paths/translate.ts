import { Transform } from "node:stream";
import type { Pins } from "./pins.ts";

/** Longest text that may begin a pin's path at the end of a chunk. */
const idLength = 32;

/** Replaces paths of pins by what the client called them, in JSON text. */
export function translateText(text: string, pins: Pins): string {
  const { folder } = pins;
  if (folder === undefined || pins.size === 0 || !text.includes(folder)) return text;
  const pattern = new RegExp(`${folder.replaceAll(/[^\w/]/g, String.raw`\$&`)}/([0-9a-f]{${idLength}})`, "g");
  return text.replaceAll(pattern, (whole, id: string) => {
    const asked = pins.asked(id);
    return asked === undefined ? whole : JSON.stringify(asked).slice(1, -1);
  });
}

/** The same for a stream of lines (events) or one long line. */
export function translateStream(pins: Pins): Transform {
  let held = "";
  const decoder = new TextDecoder();
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = held + decoder.decode(chunk, { stream: true });
      const keep = partialLength(text, pins.folder);
      held = text.slice(text.length - keep);
      done(null, translateText(text.slice(0, text.length - keep), pins));
    },
    flush(done) {
      done(null, translateText(held + decoder.decode(), pins));
    },
  });
}

/** How many characters at the end could be the beginning of a pin's path. */
function partialLength(text: string, folder: string | undefined): number {
  if (folder === undefined) return 0;
  const whole = folder.length + 1 + idLength;
  const from = Math.max(0, text.length - whole + 1);
  for (let at = from; at < text.length; at += 1) {
    const tail = text.slice(at);
    if (tail.startsWith(folder) || folder.startsWith(tail)) return tail.length;
  }
  return 0;
}
