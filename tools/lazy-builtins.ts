import type { Rolldown } from "tsdown";

/**
 * An `import` of these modules reads every property, some of which load a lot: WebSocket of node:http brings in a
 * whole HTTP client, 10 MB. The bundle takes the plain properties from the same module instead.
 */
const lazyBuiltins = ["http", "process", "util"];

/** Plugin for bundles. */
export function withoutLazyProperties(): Rolldown.Plugin {
  const prefix = "\0lazy:";
  const pattern = new RegExp(`^(?:node:)?(${lazyBuiltins.join("|")})$`);
  return {
    name: "without-lazy-properties",
    resolveId: {
      filter: { id: pattern },
      handler: (id, _importer, { kind }) =>
        kind === "import-statement" ? prefix + id.replace("node:", "") : undefined,
    },
    load: {
      filter: { id: /^\0lazy:/ },
      handler: (id) => facadeOf(id.slice(prefix.length)),
    },
  };
}

function facadeOf(name: string): string {
  const module: unknown = process.getBuiltinModule(name);
  const plain = Object.entries(Object.getOwnPropertyDescriptors(module))
    .filter(([key, { value }]) => value !== undefined && /^[A-Za-z_$][\w$]*$/.test(key) && key !== "default")
    .map(([key]) => key);
  return [
    `const module = process.getBuiltinModule("node:${name}");`,
    "export default module;",
    ...plain.map((key) => `const $${key} = module.${key}; export { $${key} as ${key} };`),
  ].join("\n");
}
