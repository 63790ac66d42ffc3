import { malformed } from "../refusal.ts";

/** What the schemas describe. A later daemon is held to it, so that it gets no field that nobody looked at. */
export const schemaVersions = { lowest: "1.24", highest: "1.51" } as const;

export function compareVersions(first: string, second: string): number {
  const [a = 0, b = 0] = first.split(".").map(Number);
  const [c = 0, d = 0] = second.split(".").map(Number);
  return a - c || b - d;
}

export const lowerVersion = (first: string, second: string): string =>
  compareVersions(first, second) <= 0 ? first : second;

/** The version to ask dockerd for; refuses those outside of the schemas. */
export function versionFor(asked: string | undefined, ceiling: string): string {
  if (asked === undefined) return ceiling;
  const { lowest, highest } = schemaVersions;
  if (compareVersions(asked, highest) > 0)
    throw malformed(
      "",
      `client version ${asked} is too new. Maximum supported API version is ${lowerVersion(ceiling, highest)}`,
      "version",
    );
  if (compareVersions(asked, lowest) < 0)
    throw malformed(
      "",
      `client version ${asked} is too old. Minimum supported API version is ${lowest}, please upgrade your client to a newer version`,
      "version",
    );
  return asked;
}
