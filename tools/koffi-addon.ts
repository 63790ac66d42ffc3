import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** libc is called through koffi's native addon, which no bundler can inline; core looks for it beside itself. `config` is the URL of a module that can import koffi. */
export function copyAddon(outDir: string, config: string): void {
  const require = createRequire(createRequire(config).resolve("koffi"));
  for (const arch of ["x64", "arm64"]) {
    const addon = resolveOptional(require, `@koromix/koffi-linux-${arch}`);
    if (addon === undefined) continue;
    mkdirSync(outDir, { recursive: true });
    const target = join(outDir, `koffi-${arch}.node`);
    // Never over the old file: an agent that runs from this folder has it mapped and would crash.
    copyFileSync(join(dirname(addon), `linux_${arch}/koffi.node`), `${target}.new`);
    renameSync(`${target}.new`, target);
  }
}

function resolveOptional(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}
