import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { openClient } from "@aeon/containerd";
import { errorMessage, isAeonError } from "@aeon/core";
import {
  configureEngine,
  containerdVerifier,
  dump,
  unconfigureEngine,
  type Change,
  type ContainerdCommand,
  type EditOptions,
} from "@aeon/hooks-runtime/engines";
import { errors } from "../errors.ts";
import { aeonEngine, withoutOwn, type HostSettings } from "./aeon-engine.ts";

export interface HostOptions extends HostSettings {
  /** containerd's main configuration. */
  readonly file: string;
  /** The program, which is asked how it reads the configuration. */
  readonly containerd: string;
  /** Folder of what files were before. */
  readonly originals: string;
  /** containerd's socket. */
  readonly address: string;
  /** Program and arguments that restart containerd; none restarts nothing. */
  readonly restart: readonly string[];
  /** Words before both commands that bring them to where containerd runs, such as nsenter's. */
  readonly enter: readonly string[];
  readonly dryRun: boolean;
}

const run = promisify(execFile);
const answerMs = 60_000;

/**
 * Tells containerd of aeon, beside its configuration where that merges, else in it, and restarts it when something
 * changed. Puts everything back when containerd reads anything else differently or does not come up again.
 */
export async function configureHost(options: HostOptions): Promise<Change> {
  const { name } = options;
  const handler = { name, path: "", asDefault: options.allPods };
  let failure: unknown;
  for (const edit of await edits(options)) {
    try {
      const change = await configureEngine(edit, handler);
      if (options.dryRun || change.before === change.after || options.restart.length === 0) return change;
      try {
        await restart(options, name);
      } catch (error) {
        await unconfigureEngine({ ...edit, verify: undefined }, name);
        await restart(options).catch(() => {});
        throw error;
      }
      return change;
    } catch (error) {
      failure = error;
      if (!isAeonError(error, "ENGINE_CONFIG_REJECTED")) throw error;
    }
  }
  throw failure;
}

/** Takes aeon out of containerd's configuration again. Throws `SNAPSHOTTER_IN_USE` while containers stand on it. */
export async function unconfigureHost(options: HostOptions): Promise<readonly Change[]> {
  await assertUnused(options);
  const changes: Change[] = [];
  for (const edit of await edits(options)) {
    if (!existsSync(edit.file)) continue;
    const change = await unconfigureEngine({ ...edit, verify: undefined }, options.name);
    if (change.before !== change.after) changes.push(change);
  }
  if (changes.length > 0 && !options.dryRun && options.restart.length > 0) await restart(options);
  return changes;
}

/** The file beside the main configuration first, where containerd reads one. */
async function edits(options: HostOptions): Promise<readonly EditOptions[]> {
  const { file, containerd, originals, dryRun, name, enter } = options;
  const [first, ...rest] = enter;
  const command: ContainerdCommand = first === undefined ? containerd : [first, ...rest, containerd];
  const main = await readFile(file, "utf8").catch(() => "");
  const dumped = await dump(command, file).catch(() => undefined);
  const verify = await containerdVerifier(command, file, withoutOwn);
  if (dumped === undefined || verify === undefined)
    throw errors.HOST_CONTAINERD_UNREADABLE(
      `${containerd} cannot read ${file}; name the program with --containerd, or mend the file first`,
    );
  const engine = aeonEngine(options, dumped);
  const common = { engine, originals, dryRun, verify };
  const beside = engine.dropIn?.(main, file, name);
  return [...(beside === undefined ? [] : [{ ...common, file: beside, main }]), { ...common, file }];
}

/** Restarts containerd and waits until it answers, with the snapshotter when one is named. */
async function restart({ enter, restart: command, address }: HostOptions, name?: string): Promise<void> {
  const [program = "", ...args] = [...enter, ...command];
  try {
    await run(program, args);
    await using client = openClient({ address });
    const signal = AbortSignal.timeout(answerMs);
    await client.version({ signal });
    const plugins = name === undefined ? [] : await client.plugins([`id==${name}`], { signal });
    if (name !== undefined && plugins.length === 0) throw new Error(`it has no snapshotter ${name}`);
  } catch (error) {
    throw errors.HOST_RESTART_FAILED(
      `containerd did not come up with the new configuration: ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function assertUnused({ address, name }: HostOptions): Promise<void> {
  if (!existsSync(address)) return;
  await using client = openClient({ address });
  const signal = AbortSignal.timeout(answerMs);
  const users: string[] = [];
  for (const { name: space } of await client.namespaces.list({ signal }))
    for (const { id, snapshotter } of await client.withNamespace(space).containers([], { signal }))
      if (snapshotter === name) users.push(`${space}/${id}`);
  if (users.length > 0)
    throw errors.SNAPSHOTTER_IN_USE(
      `${users.length} containers use snapshotter ${name}: ${users.slice(0, 5).join(", ")}; drain the node first`,
      { details: { containers: users.length } },
    );
}
