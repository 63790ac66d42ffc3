import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, matchesGlob } from "node:path";
import { parse } from "smol-toml";
import * as v from "valibot";

/** What a runtime's configuration says of plugins that change containers. */
export interface RuntimePolicy {
  /** Containers are refused while the plugin is away. */
  readonly failClosed: boolean;
  /** Hooks of plugins are refused. */
  readonly rejectsHooks: boolean;
}

const fileSchema = v.object({
  imports: v.optional(v.array(v.string()), []),
  plugins: v.optional(
    v.object({
      "io.containerd.nri.v1.nri": v.optional(
        v.object({
          default_validator: v.optional(
            v.object({
              enable: v.optional(v.boolean()),
              required_plugins: v.optional(v.array(v.string())),
              reject_oci_hook_adjustment: v.optional(v.boolean()),
            }),
            {},
          ),
        }),
      ),
    }),
    {},
  ),
});

/** Reads containerd's configuration with what it imports; undefined when it cannot be read or understood. */
export async function readRuntimePolicy(file: string, plugin: string): Promise<RuntimePolicy | undefined> {
  try {
    const main = await readTable(file);
    let validator = validatorOf(main);
    for (const pattern of main.imports)
      for (const path of await matching(isAbsolute(pattern) ? pattern : join(dirname(file), pattern)))
        validator = { ...validator, ...validatorOf(await readTable(path)) };
    const {
      enable = false,
      required_plugins: required = [],
      reject_oci_hook_adjustment: rejects,
    } = validator;
    return {
      failClosed: enable && required.includes(plugin),
      rejectsHooks: enable && rejects === true,
    };
  } catch {
    return undefined;
  }
}

type Table = v.InferOutput<typeof fileSchema>;

const readTable = async (file: string): Promise<Table> =>
  v.parse(fileSchema, parse(await readFile(file, "utf8")));

const validatorOf = ({ plugins }: Table) => plugins["io.containerd.nri.v1.nri"]?.default_validator ?? {};

/** Files of one folder, as containerd's patterns have it; in their order. */
async function matching(pattern: string): Promise<readonly string[]> {
  const names = await readdir(dirname(pattern)).catch(() => []);
  return names
    .filter((name) => matchesGlob(name, basename(pattern)))
    .toSorted()
    .map((name) => join(dirname(pattern), name));
}
