const named: Readonly<Record<string, number>> = {
  a: 0x07,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
  "\\": 0x5c,
};
const escape = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gsu;
const maxRune = 0x10ffff;

/** The text between the quotes of a scanned token, escapes resolved as Go does; undefined if one has no meaning. */
export function unquote(token: string): string | undefined {
  const quote = token.slice(0, 1);
  const body = token.slice(1, -1);
  const parts: Buffer[] = [];
  let from = 0;
  for (const match of body.matchAll(escape)) {
    const bytes = bytesOf(match, quote);
    if (bytes === undefined) return undefined;
    parts.push(Buffer.from(body.slice(from, match.index)), bytes);
    from = match.index + match[0].length;
  }
  parts.push(Buffer.from(body.slice(from)));
  return Buffer.concat(parts).toString();
}

function bytesOf([, hex, short, long, octal, char]: RegExpExecArray, quote: string): Buffer | undefined {
  if (hex !== undefined) return Buffer.from([Number.parseInt(hex, 16)]);
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 0xff ? undefined : Buffer.from([byte]);
  }
  const rune = short ?? long;
  if (rune !== undefined) {
    const point = Number.parseInt(rune, 16);
    return point > maxRune ? undefined : Buffer.from(String.fromCodePoint(point));
  }
  if (char === undefined) return undefined;
  const code = char === quote ? char.charCodeAt(0) : named[char];
  return code === undefined ? undefined : Buffer.from([code]);
}
