/**
 * Compares two Debian versions as dpkg does (deb-version(7)): epoch, upstream version, revision. Negative when `a` is
 * the older one.
 */
export function compareDebianVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    left.epoch - right.epoch ||
    comparePart(left.upstream, right.upstream) ||
    comparePart(left.revision, right.revision)
  );
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Alternating runs of non-digits and digits; `~` sorts before the end, letters before everything else. */
function comparePart(a: string, b: string): number {
  const [left, right] = [runs(a), runs(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const [one = "", other = ""] = [left[index], right[index]];
    const difference = index % 2 === 0 ? compareText(one, other) : Number(one) - Number(other);
    if (difference !== 0) return difference;
  }
  return 0;
}

const runs = (text: string): readonly string[] => text.match(/\D+|\d+/g)?.reduce(startWithText, []) ?? [];

function startWithText(found: string[], run: string, index: number): string[] {
  if (index === 0 && /\d/.test(run)) found.push("");
  found.push(run);
  return found;
}

function compareText(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = weight(a[index]) - weight(b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}

function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === "~") return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
