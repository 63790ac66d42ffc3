import { buildDebianImage, type BuiltImage, type DebianImageOptions } from "./debian-image.ts";
import { dindRecipe, imageLabels, sbomPath } from "./image-recipe.ts";
import type { DebianPackage } from "./package-status.ts";
import { requireFixes } from "./version-floor.ts";

export interface DindImageOptions extends Omit<DebianImageOptions, "recipe"> {
  /** Debian code name; one whose engine and runc have the required fixes when absent. */
  readonly suite?: string;
}

export interface BuiltDindImage extends Omit<BuiltImage, "packages"> {
  readonly engine: string;
  readonly runc: string;
  readonly packages: number;
}

/**
 * Builds the image that DinD containers run, from Debian packages. Throws `DIND_ENGINE_OUTDATED` before anything is
 * built when they lack fixes.
 */
export async function buildDindImage({ suite, ...options }: DindImageOptions): Promise<BuiltDindImage> {
  const labels = (packages: readonly DebianPackage[]): Readonly<Record<string, string>> => {
    const engine = versionOf(packages, "docker.io");
    const runc = versionOf(packages, "runc");
    requireFixes("engine", engine, options.name);
    requireFixes("runc", runc, options.name);
    return {
      [imageLabels.engine]: engine,
      [imageLabels.runc]: runc,
      [imageLabels.sbom]: `/${sbomPath}`,
    };
  };
  const recipe = { ...dindRecipe, ...(suite !== undefined && { suite }), labels };
  const { packages, ...built } = await buildDebianImage({ ...options, recipe });
  return {
    ...built,
    engine: versionOf(packages, "docker.io"),
    runc: versionOf(packages, "runc"),
    packages: packages.length,
  };
}

/** Empty for a package that is not there, which no floor accepts. */
const versionOf = (packages: readonly DebianPackage[], name: string): string =>
  packages.find((entry) => entry.name === name)?.version ?? "";
