import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Rolldown } from "tsdown";

/** Writes `NAME.packages.json` beside a bundle: the npm packages that are in it, for bills of materials. */
export function bundledPackages(name: string): Rolldown.Plugin {
  return {
    name: "bundled-packages",
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle))
        if (chunk.type === "chunk") for (const id of chunk.moduleIds) folders.add(packageFolder(id));
      // Native, so no module of the bundle: its addon is copied.
      if (name === "aeon" || name === "aeonctl")
        folders.add(join(import.meta.dirname, "../node_modules/koffi"));
      folders.delete("");
      const packages = [...folders].map(describe).toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
      this.emitFile({
        type: "asset",
        fileName: `${name}.packages.json`,
        source: `${JSON.stringify(packages, undefined, 2)}\n`,
      });
    },
  };
}

interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly homepage?: string;
}

const keyOf = ({ name, version }: BundledPackage): string => `${name}@${version}`;

/** The folder below the last `node_modules` of a module's path; empty for our own. */
const packageFolder = (id: string): string =>
  /^[^\0]*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replace(/^\0/, ""))?.[0] ?? "";

function describe(folder: string): BundledPackage {
  const { name, version, license, homepage } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return {
    name,
    version,
    ...(typeof license === "string" && { license }),
    ...(typeof homepage === "string" && { homepage }),
  };
}
