/** Whether bytes hold at least one whole JSON object: braces outside of strings are balanced. */
export function isComplete(bytes: Buffer): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (inString) {
      if (byte === backslash) index += 1;
      else if (byte === quote) inString = false;
    } else if (byte === quote) inString = true;
    else if (byte === open) depth += 1;
    else if (byte === close) {
      depth -= 1;
      if (depth === 0) return true;
    }
  }
  return false;
}

const [quote, backslash, open, close] = [0x22, 0x5c, 0x7b, 0x7d];
