import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildDebianImage, type BomPart, type BuiltImage, type DebianImageOptions } from "@aeon/dind";
import * as v from "valibot";
import { agentRecipe } from "./agent-recipe.ts";

export interface AgentImageOptions extends Omit<DebianImageOptions, "recipe"> {
  /** Folder of the bundled agent (`packages/agent/dist/bin`). */
  readonly agent: string;
  /** Folder of the bundled aeonctl (`packages/aeonctl/dist/bin`). */
  readonly aeonctl: string;
  /** Node's program; the one that runs this when absent. */
  readonly node?: string;
  /** Debian code name; `trixie` when absent. */
  readonly suite?: string;
}

/** Builds the image that the DaemonSet runs. The same bundles, Node, packages and epoch give the same digest. */
export async function buildAgentImage(options: AgentImageOptions): Promise<BuiltImage> {
  const { agent, aeonctl, node = process.execPath, suite, ...rest } = options;
  const parts = [nodePart(), ...(await npmParts([agent, aeonctl]))];
  const recipe = agentRecipe({ agent, aeonctl, node, parts });
  return buildDebianImage({ ...rest, recipe: { ...recipe, ...(suite !== undefined && { suite }) } });
}

const nodePart = (): BomPart => ({
  id: "node",
  name: "node",
  version: process.versions.node,
  homepage: "https://nodejs.org",
  license: "MIT",
  purl: `pkg:generic/node@${process.versions.node}`,
});

const text = v.optional(v.string());
const packageList = v.array(
  v.object({ name: v.string(), version: v.string(), license: text, homepage: text }),
);

/** What the bundles say that is in them. */
async function npmParts(folders: readonly string[]): Promise<readonly BomPart[]> {
  const parts = new Map<string, BomPart>();
  for (const folder of folders)
    for (const name of (await readdir(folder)).filter((each) => each.endsWith(".packages.json")))
      for (const entry of v.parse(packageList, JSON.parse(await readFile(join(folder, name), "utf8")))) {
        const id = `npm-${entry.name}-${entry.version}`;
        parts.set(id, {
          id,
          name: entry.name,
          version: entry.version,
          purl: `pkg:npm/${entry.name.replace("@", "%40")}@${entry.version}`,
          ...(entry.license !== undefined && { license: entry.license }),
          ...(entry.homepage !== undefined && { homepage: entry.homepage }),
        });
      }
  return [...parts.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
