import { access, constants, readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { isAeonError } from "@aeon/core";
import { createTwoFilesPatch } from "diff";
import { configureEngine, unconfigureEngine, type Change, type EditOptions } from "../engines/configure.ts";
import { containerdEngine } from "../engines/containerd-engine.ts";
import { crioEngine } from "../engines/crio-engine.ts";
import type { Engine } from "../engines/engine.ts";
import { dockerEngine } from "../engines/json-config.ts";
import { Originals } from "../engines/originals.ts";
import { containerdVerifier } from "../engines/verify-containerd.ts";
import { errors } from "../errors.ts";
import type { CtkContext } from "./context.ts";

export const engines: Readonly<Record<string, Engine>> = {
  docker: dockerEngine,
  containerd: containerdEngine,
  crio: crioEngine,
};

export interface RuntimeOptions {
  readonly runtime: string;
  readonly configFile?: string;
  readonly name: string;
  readonly path: string;
  readonly setAsDefault?: boolean;
  readonly dryRun?: boolean;
  readonly inPlace?: boolean;
  /** Path of containerd, to look at the result with. */
  readonly containerd?: string;
}

/** `runtime configure`. */
export async function configureRuntime(options: RuntimeOptions, context: CtkContext): Promise<void> {
  const { name, path, setAsDefault: asDefault = false } = options;
  if (!isAbsolute(path)) throw errors.TOOLKIT_OPTION_INVALID(`--path ${path} is no absolute path`);
  const edits = await editsFor(options, context);
  for (const [index, edit] of edits.entries()) {
    try {
      report(await configureEngine(edit, { name, path, asDefault }), edit, context);
      return;
    } catch (error) {
      if (index === edits.length - 1 || !isAeonError(error, "ENGINE_CONFIG_REJECTED")) throw error;
      context.log.warn(`${error.message}; changing the main configuration instead`);
    }
  }
}

/** `runtime unconfigure`. */
export async function unconfigureRuntime(options: RuntimeOptions, context: CtkContext): Promise<void> {
  const { name, configFile } = options;
  const engine = engineOf(options);
  const records = await new Originals(context.paths.originals).list();
  const recorded = records.filter((record) => record.engine === engine.title && record.names.includes(name));
  const chosen = recorded.filter(
    ({ file }) =>
      configFile === undefined || file === configFile || dirname(file).startsWith(dirname(configFile)),
  );
  const files = chosen.length > 0 ? chosen.map(({ file }) => file) : [fileOf(options, context)];
  for (const file of files) {
    const edit = { engine, file, originals: context.paths.originals, dryRun: options.dryRun };
    report(await unconfigureEngine(edit, name), edit, context);
  }
}

/** The file beside the main one first, where the engine reads one, then the main one. */
async function editsFor(options: RuntimeOptions, context: CtkContext): Promise<readonly EditOptions[]> {
  const engine = engineOf(options);
  const file = fileOf(options, context);
  const common = { engine, originals: context.paths.originals, dryRun: options.dryRun };
  const verify = engine === containerdEngine ? await verifier(options, file, context) : undefined;
  const mainEdit = { ...common, file, verify };
  if (options.inPlace || (engine === crioEngine && options.configFile !== undefined)) return [mainEdit];
  const main = await readFile(file, "utf8").catch(() => "");
  const beside = engine.dropIn?.(main, file, options.name);
  const isUsable = beside !== undefined && (await isFolder(dirname(beside)));
  // Unseen by containerd, a file beside the main one could take away what the main one says.
  const isSafe = engine !== containerdEngine || verify !== undefined;
  return isUsable && isSafe ? [{ ...common, file: beside, main, verify }, mainEdit] : [mainEdit];
}

async function verifier(options: RuntimeOptions, file: string, { searchPath, log }: CtkContext) {
  const program = options.containerd ?? (await onPath("containerd", searchPath));
  const verify = program === undefined ? undefined : await containerdVerifier(program, file);
  if (verify === undefined && !options.dryRun)
    log.warn("containerd was not found or cannot read its configuration: the result is not checked with it");
  return verify;
}

function report(
  change: Change,
  { engine, dryRun }: Pick<EditOptions, "engine" | "dryRun">,
  { log, print }: CtkContext,
): void {
  const { file, existed, before, after, removed } = change;
  if (dryRun) return print(before === after ? "" : createTwoFilesPatch(file, file, before, after, "", ""));
  log.info(existed ? `Loading config from ${file}` : "Config file does not exist; using empty config");
  if (before === after && !removed) return log.info(`${file} needs no change`);
  log.info(removed ? `Removed empty config from ${file}` : `Wrote updated config to ${file}`);
  log.info(`It is recommended that ${engine.title} daemon be restarted.`);
}

function engineOf({ runtime }: RuntimeOptions): Engine {
  const engine = Object.hasOwn(engines, runtime) ? engines[runtime] : undefined;
  if (engine === undefined)
    throw errors.TOOLKIT_OPTION_INVALID(`--runtime ${runtime} is none of ${Object.keys(engines).join(", ")}`);
  return engine;
}

const fileOf = (options: RuntimeOptions, { prefix }: CtkContext): string =>
  options.configFile ?? join(prefix, engineOf(options).file);

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

async function onPath(name: string, searchPath: string): Promise<string | undefined> {
  for (const folder of searchPath.split(":").filter(isAbsolute)) {
    const path = join(folder, name);
    const usable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return path;
  }
  return undefined;
}
