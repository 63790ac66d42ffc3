/** One entry of the machine's apt configuration, as `apt-get indextargets` tells it. */
export interface AptTarget {
  /** Address of the mirror, such as what precedes `/dists/`. */
  readonly site: string;
  /** Suite as written in the sources: a code name, or an alias such as `stable`. */
  readonly release: string;
  readonly component: string;
}

/** Arguments for apt-get that list the targets in the form {@link parseTargets} reads; works without downloaded lists. */
export const listTargets: readonly string[] = [
  "indextargets",
  "--no-release-info",
  "--format",
  "$(SITE) $(RELEASE) $(COMPONENT)",
  "Created-By: Packages",
];

/** Reads the output of apt-get with {@link listTargets}. */
export function parseTargets(output: string): readonly AptTarget[] {
  return output.split("\n").flatMap((line) => {
    const [site, release, component] = line.trim().split(" ");
    return site && release && component ? [{ site, release, component }] : [];
  });
}

const aliases = new Set(["stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"]);

/**
 * Lines of a sources.list for a suite. The machine's own suite keeps its updates and security entries; another
 * suite comes from the mirrors of the own one. Empty when the machine names no mirror of its own suite.
 */
export function sourcesFor(
  suite: string,
  own: string,
  targets: readonly AptTarget[],
  keyring: string | undefined,
): readonly string[] {
  const base = targets.filter(({ release, component }) => component === "main" && isBase(release, own));
  const entries =
    suite === own
      ? targets.filter(({ release, component }) => component === "main" && isOf(release, own))
      : base.map((target) => ({ ...target, release: suite }));
  if (base.length === 0) return [];
  const trust = keyring === undefined ? "" : `[signed-by=${keyring}] `;
  return [
    ...new Set(entries.map(({ site, release, component }) => `deb ${trust}${site} ${release} ${component}`)),
  ];
}

const isBase = (release: string, own: string): boolean => release === own || aliases.has(release);

function isOf(release: string, own: string): boolean {
  const [name = "", pocket] = release.split(/[-/]/, 2);
  return isBase(name, own) && (pocket === undefined || pocket === "updates" || pocket === "security");
}
