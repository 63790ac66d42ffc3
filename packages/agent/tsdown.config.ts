import { createRequire } from "node:module";
import { defineConfig, type Rolldown } from "tsdown";
import { filterBundle } from "../../tools/filter-bundle.ts";
import { copyAddon } from "../../tools/koffi-addon.ts";
import { withoutLazyProperties } from "../../tools/lazy-builtins.ts";
import { shippedBundle } from "../../tools/shipped-bundle.ts";

/**
 * What libraries bring along and nothing here uses: prom-client's support for Node's cluster module, 1 MB, and the
 * parser of .proto files in grpc-js, which only its channelz service calls, 300 kB.
 */
function withoutUnused(): Rolldown.Plugin {
  return {
    name: "without-unused",
    load: {
      filter: { id: /prom-client\/lib\/cluster\.js$|@grpc\/proto-loader\/build\/src\/index\.js$/ },
      handler: () => "module.exports = undefined;",
    },
  };
}

const escapeCharacter = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** V8 keeps a source with one character beyond Latin-1 at two bytes each. */
function escapeNonAscii(): Rolldown.Plugin {
  return {
    name: "escape-non-ascii",
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle))
        if (chunk.type === "chunk") chunk.code = chunk.code.replaceAll(/[^\0-\x7f]/g, escapeCharacter);
    },
  };
}

/** The entry of a package that names its modules only in the field `module`. */
function modulesOf(name: string): string {
  return createRequire(import.meta.url)
    .resolve(name)
    .replace("/umd/", "/esm/");
}

/** The agent and the programs it starts, with everything they need, so that the folder can be copied to a host. */
const agent = shippedBundle({
  entry: {
    aeon: "src/main.ts",
    "namespace-worker": "../dind/src/system/namespace-worker.ts",
    "disk-worker": "../snapshotter/src/overlay/disk-worker.ts",
    "backup-worker": "../rootfs-backup/src/worker/main.ts",
    "process-spawner": "../rootfs-backup/src/worker/process-spawner.ts",
  },
  // Its usual entry asks for its parts in a way that no bundler sees.
  resolve: { alias: { "jsonc-parser": modulesOf("jsonc-parser") } },
  plugins: [withoutLazyProperties(), withoutUnused(), escapeNonAscii()],
  finish: (outDir) => copyAddon(outDir, import.meta.url),
});

/** The program for containers: one file, which the agent copies to where they mount it. */
const podCli = shippedBundle({
  entry: { "pod-cli": "../aeonctl/src/pod/main.ts" },
  withoutSideEffects: true,
});

export default [agent, defineConfig(filterBundle("../dind/src/filter/main.ts")), podCli];
