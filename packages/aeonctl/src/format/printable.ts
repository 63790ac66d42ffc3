/** Control characters, and those that reorder text: a name must not be able to steer the terminal. */
const unsafe = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The text with unsafe characters as `\xNN` or `\u{NNNN}`. */
export const printable = (text: string): string =>
  text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
