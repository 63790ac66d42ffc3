import { once } from "node:events";
import { errorMessage, isAeonError } from "@aeon/core";
import { containerdPaths } from "./containerd-config.ts";
import { errors } from "./errors.ts";
import { shellWord } from "./shell-word.ts";
import { startStandalone, type Standalone, type StandaloneOptions } from "./standalone.ts";
import { standalonePaths } from "./standalone-paths.ts";
import { terminalProgress, type Output } from "./terminal-progress.ts";

export interface RunStandaloneOptions extends Omit<StandaloneOptions, "progress"> {
  readonly output: Output;
}

/**
 * Runs until the signal is aborted or one of the parts ends, and tells the user of it. Answers the exit code: 0 when
 * it was stopped and left nothing behind.
 */
export async function runStandalone(options: RunStandaloneOptions): Promise<number> {
  const { output, root } = options;
  output.write(`aeon starts in ${root}\n\n`);
  let standalone: Standalone;
  try {
    standalone = await startStandalone({ ...options, progress: terminalProgress(output) });
  } catch (error) {
    return notStarted(error, options);
  }
  try {
    return await runStarted(standalone, options);
  } catch (error) {
    output.write(`\naeon: ${explain(error)}\n`);
    return 1;
  }
}

async function runStarted(
  standalone: Standalone,
  { output, root, signal }: RunStandaloneOptions,
): Promise<number> {
  output.write(welcome(root, standalone));
  const broken = await Promise.race([standalone.broken, stopped(signal)]);
  output.write(`\n${broken === undefined ? "" : `aeon: ${broken}\n\n`}stopping…\n`);
  await standalone[Symbol.asyncDispose]();
  output.write(`stopped; no process, mount or socket is left. The files stay in ${root}.\n`);
  return broken === undefined ? 0 : 1;
}

/** Nothing was started, or everything that was is stopped again, unless stopping failed too. */
function notStarted(error: unknown, { output, signal }: RunStandaloneOptions): number {
  if (signal.aborted && !(error instanceof SuppressedError)) {
    output.write("\nstopped before it was ready.\n");
    return 0;
  }
  output.write(`\naeon: ${explain(error)}\n`);
  return 1;
}

async function stopped(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, "abort");
}

/** What happened and what to do about it; of a failure while cleaning up after another, both. */
function explain(error: unknown): string {
  if (error instanceof SuppressedError) return `${explain(error.suppressed)}\n${explain(error.error)}`;
  const entries: Readonly<Record<string, { readonly remedy: string } | undefined>> = errors.entries;
  const entry = isAeonError(error) ? entries[error.reason] : undefined;
  return `${errorMessage(error)}${entry === undefined ? "" : `\n      ${entry.remedy}`}`;
}

function welcome(root: string, { agent, containerd, image }: Standalone): string {
  const paths = standalonePaths(root);
  const facts = [
    ["containerd", `${containerd.version}, pid ${containerd.pid}, ${containerd.address}`],
    ["agent", `pid ${agent.pid}, ${paths.adminSocket}`],
    ["snapshots", paths.snapshots],
    ["backups", paths.store],
    ["metrics", `${agent.metrics}/metrics`],
    ["logs", `${paths.agentLog}, ${containerdPaths(paths.containerd).log}`],
  ] as const;
  const [ctr, aeonctl] = [shellWord(`${paths.bin}/ctr`), shellWord(`${paths.bin}/aeonctl`)];
  const newest = `$(${aeonctl} backup ls --container demo --quiet | head -1)`;
  const commands = [
    `${ctr} run --rm ${image} demo sh -c 'echo hello > /root/note; rm /etc/motd'`,
    `${aeonctl} backup ls`,
    `${aeonctl} restore ${newest} --container demo2 && ${ctr} run --rm ${image} demo2 ls -l /root /etc`,
  ];
  return `
aeon is ready.

${facts.map(([name, value]) => `  ${name.padEnd(12)}${value}`).join("\n")}

Three commands to try in another terminal: a container changes its files and goes; its changes are a backup now; a
new container starts with them.

${commands.map((command) => `  ${command}`).join("\n\n")}

Ctrl-C stops everything.
`;
}
