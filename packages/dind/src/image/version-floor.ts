import { compareDebianVersions } from "./debian-version.ts";
import { errors } from "../errors.ts";

/** A release line and the first version of it that has the fixes. */
interface Line {
  /** What versions of the line begin with. */
  readonly line: string;
  readonly fixed: string;
  /** Where that is written. */
  readonly source: string;
}

interface Floor {
  /** Vulnerabilities through which an API client or an inner container gets out of the DinD container. */
  readonly fixes: readonly string[];
  /** The first upstream version with all fixes: it and anything later will do. */
  readonly upstream: string;
  /** Older lines with fixes of their own: upstream's, or backports of a distribution. */
  readonly lines: readonly Line[];
}

export type EnginePart = "engine" | "runc";

/** The oldest programs that may run beside a container. Extend it when a distribution fixes another version. */
export const versionFloors: Readonly<Record<EnginePart, Floor>> = {
  engine: {
    fixes: ["CVE-2026-41567", "CVE-2026-41568", "CVE-2026-42306", "CVE-2026-33747", "CVE-2026-33748"],
    // BuildKit is part of the engine; 29.5.1 carries 0.28.1 or later.
    upstream: "29.5.1",
    lines: [
      { line: "28.5.2+dfsg", fixed: "28.5.2+dfsg4-3", source: "Debian docker.io changelog, 28.5.2+dfsg4-3" },
      {
        line: "26.1.5+dfsg",
        fixed: "26.1.5+dfsg1-9+deb13u1",
        source: "Debian docker.io changelog, 26.1.5+dfsg1-9+deb13u1",
      },
    ],
  },
  runc: {
    fixes: ["CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"],
    upstream: "1.3.3",
    lines: [{ line: "1.2.", fixed: "1.2.8", source: "runc release 1.2.8" }],
  },
};

/** True for a version that has all fixes. */
export function hasFixes(part: EnginePart, version: string): boolean {
  const { upstream, lines } = versionFloors[part];
  if (compareDebianVersions(version, upstream) >= 0) return true;
  return lines.some(
    ({ line, fixed }) => version.startsWith(line) && compareDebianVersions(version, fixed) >= 0,
  );
}

/** Throws `DIND_ENGINE_OUTDATED` for a version without the fixes, and for one that is not known. */
export function requireFixes(part: EnginePart, version: string | undefined, where: string): void {
  if (version !== undefined && hasFixes(part, version)) return;
  const { fixes, upstream, lines } = versionFloors[part];
  const accepted = [
    `${upstream} or later`,
    ...lines.map(({ fixed, line }) => `${fixed} or later of ${line}*`),
  ];
  throw errors.DIND_ENGINE_OUTDATED(
    `${where}: ${part} ${version ?? "of unknown version"} lacks fixes for ${fixes.join(", ")}; accepted are ${accepted.join("; ")}`,
    { details: { part, version: version ?? "" } },
  );
}
