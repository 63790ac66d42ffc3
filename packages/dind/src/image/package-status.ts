import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../system/run-program.ts";

/** What a .deb says of itself. */
export interface DebianPackage {
  readonly file: string;
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Source package and its version, where they differ from the package's own. */
  readonly source: string;
  readonly maintainer: string;
  readonly homepage: string;
  /** The whole control paragraph. */
  readonly control: string;
}

/** The packages in a folder of .deb files, sorted by name. */
export async function readPackages(folder: string, signal?: AbortSignal): Promise<readonly DebianPackage[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".deb"));
  const packages: DebianPackage[] = [];
  for (const name of files) {
    const file = join(folder, name);
    const control = (await runProgram("dpkg-deb", ["--field", file], signal && { signal })).trim();
    const field = (key: string): string => new RegExp(`^${key}: (.*)$`, "m").exec(control)?.[1] ?? "";
    packages.push({
      file,
      control,
      name: field("Package"),
      version: field("Version"),
      architecture: field("Architecture"),
      source: field("Source") || field("Package"),
      maintainer: field("Maintainer"),
      homepage: field("Homepage"),
    });
  }
  return packages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** dpkg's status file, as scanners read it. */
export const statusFile = (packages: readonly DebianPackage[]): string =>
  packages.map(({ control }) => `${control.replace("\n", "\nStatus: install ok installed\n")}\n`).join("\n");
