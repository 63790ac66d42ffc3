/**
 * The form under which Go's encoding/json takes two keys for the same field. Beyond ASCII only U+017F (long s) and
 * U+212A (Kelvin) fold into it; lower case alone would keep the first apart.
 */
export const foldKey = (key: string): string =>
  key.replaceAll("\u017f", "s").replaceAll("\u212a", "k").toLowerCase();

/** Whether a key has only ASCII characters, as every field of Docker's API. */
// oxlint-disable-next-line no-control-regex
export const isAscii = (key: string): boolean => /^[\x00-\x7f]*$/.test(key);
