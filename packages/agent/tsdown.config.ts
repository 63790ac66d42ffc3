import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defineConfig } from "tsdown";

const outDir = "dist/bin";

/** Makes the folder whole: what a bundler cannot write. */
function finish(): void {
  copyAddon();
  writeFileSync(join(outDir, "package.json"), `${JSON.stringify({ type: "module" })}\n`);
}

/** libc is called through koffi's native addon, which no bundler can inline; core looks for it beside itself. */
function copyAddon(): void {
  const require = createRequire(createRequire(import.meta.url).resolve("koffi"));
  for (const arch of ["x64", "arm64"]) {
    const addon = resolveOptional(require, `@koromix/koffi-linux-${arch}`);
    if (addon === undefined) continue;
    mkdirSync(outDir, { recursive: true });
    copyFileSync(join(dirname(addon), `linux_${arch}/koffi.node`), join(outDir, `koffi-${arch}.node`));
  }
}

function resolveOptional(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

/** The agent and the programs it starts, with everything they need, so that the folder can be copied to a host. */
export default defineConfig({
  entry: {
    aeon: "src/main.ts",
    "disk-worker": "../snapshotter/src/overlay/disk-worker.ts",
    "backup-worker": "../rootfs-backup/src/worker/main.ts",
  },
  outDir,
  platform: "node",
  format: "esm",
  target: "node24",
  dts: false,
  clean: true,
  minify: true,
  hash: false,
  fixedExtension: false,
  outputOptions: { chunkFileNames: "[name].js" },
  deps: { alwaysBundle: [/.*/], onlyBundle: false },
  inputOptions: { resolve: { conditionNames: ["@aeon/source", "import", "node", "default"] } },
  hooks: { "build:done": finish },
});
