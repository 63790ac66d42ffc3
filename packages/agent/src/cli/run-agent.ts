import { existsSync } from "node:fs";
import { createLogger, createMetrics, watchFile, type ConfigSources } from "@aeon/core";
import { environment } from "../environment.ts";
import { loadAgentConfig } from "../config/load-agent-config.ts";
import { leaveStandInGroup, startStandIn } from "../stand-in.ts";
import { startAgent, type Agent } from "../start-agent.ts";
import { superviseProcess } from "../supervise-process.ts";

/** Files that the agent makes are for nobody else; what has to be open gets its mode explicitly. */
const umask = 0o077;

export interface RunOptions {
  /** Milliseconds that an agent stands in for this one after its end, or, with `after`, that this one does. */
  readonly standIn?: number;
  /** Process id of the agent for which this one stands in. */
  readonly after?: number;
}

/**
 * Runs the agent until SIGTERM or SIGINT; a second one ends it without waiting for calls and plugins. Reloads the
 * configuration on SIGHUP and when its file changes. Throws when the agent cannot start.
 */
export async function runAgent(sources: ConfigSources, { standIn, after }: RunOptions = {}): Promise<void> {
  process.umask(umask);
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  // Children must not speak for the agent.
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
  using running = new DisposableStack();
  const signals = running.use(stopSignals());
  signals.second.addEventListener("abort", giveUp);
  const started = Promise.withResolvers<Agent>();
  // From before the first look at the file, so that no change is missed.
  running.use(reloadOnChange(started.promise, sources));
  const configuration = await loadAgentConfig(sources);
  const log = await createLogger(configuration.agent.log);
  const metrics = await createMetrics({ process: true });
  running.use(superviseProcess(log, metrics));
  const notification = { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID };
  // Whoever waits for that stops only then.
  if (after !== undefined) process.stdout.write("loaded\n");
  const agent = await startAgent(configuration, {
    log,
    metrics,
    environment: notification,
    ...(after !== undefined && { claim: { kind: "stand-in", after } }),
  });
  signals.second.removeEventListener("abort", giveUp);
  started.resolve(agent);
  if (after !== undefined) running.use(endAfter(standIn ?? 0));
  await signals.first;
  if (after === undefined && standIn !== undefined)
    await startStandIn({ sources, state: configuration.agent.state, forMs: standIn, log });
  await agent.stop(signals.second);
  if (after !== undefined)
    await leaveStandInGroup().catch((error: unknown) => log.debug({ error }, "control group is still there"));
  // Whatever a plugin left behind must not keep the process.
  process.exit();
}

/** The next agent may never come, as when all of them are taken away. */
function endAfter(ms: number): Disposable {
  const timer = setTimeout(() => process.kill(process.pid, "SIGTERM"), ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Until the agent runs there is nothing to stop in order. */
const giveUp = (): never => process.exit(1);

interface StopSignals extends Disposable {
  /** Resolves at the first SIGTERM or SIGINT. */
  readonly first: Promise<void>;
  /** Aborted at the second one. */
  readonly second: AbortSignal;
}

/** Milliseconds in which further signals are the same wish: npm, timeout(1) and terminals tell the whole group. */
const sameWishMs = 500;

function stopSignals(): StopSignals {
  const first = Promise.withResolvers<void>();
  const second = new AbortController();
  let askedAt: number | undefined;
  const onSignal = (): void => {
    askedAt ??= performance.now();
    first.resolve();
    if (performance.now() - askedAt > sameWishMs) second.abort(new Error("asked to stop twice"));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return {
    first: first.promise,
    second: second.signal,
    [Symbol.dispose]: () => {
      process.off("SIGTERM", onSignal);
      process.off("SIGINT", onSignal);
    },
  };
}

/** Reloads one after the other, once the agent has started; a configuration with faults changes nothing. */
function reloadOnChange(started: Promise<Agent>, sources: ConfigSources): Disposable {
  let last: Promise<void> | undefined;
  const reload = (): void => void (last = reloadAfter(last, started, sources));
  const stack = new DisposableStack();
  process.on("SIGHUP", reload);
  stack.defer(() => void process.off("SIGHUP", reload));
  // An absent file is for the loader to refuse.
  if (sources.file !== undefined && existsSync(sources.file)) stack.use(watchFile(sources.file, reload));
  return stack;
}

async function reloadAfter(
  last: Promise<void> | undefined,
  started: Promise<Agent>,
  sources: ConfigSources,
): Promise<void> {
  await last;
  const agent = await started;
  try {
    const pending = await agent.reload(await loadAgentConfig(sources));
    if (pending.length === 0) agent.log.info({}, "configuration reloaded");
    else
      agent.log.warn({ keys: pending }, "configuration reloaded; some keys wait for a restart of the agent");
  } catch (error) {
    agent.log.error({ error }, "configuration not reloaded; the old one stays");
  }
}
