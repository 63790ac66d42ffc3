import { createLogger, watchFile, type ConfigSources, type Logger } from "@aeon/core";
import { environment } from "../environment.ts";
import { loadAgentConfig } from "../config/load-agent-config.ts";
import { startAgent, type Agent } from "../start-agent.ts";
import { superviseProcess } from "../supervise-process.ts";

/** Files that the agent makes are for nobody else; what has to be open gets its mode explicitly. */
const umask = 0o077;

/**
 * Runs the agent until SIGTERM or SIGINT; a second one ends it without waiting for calls and plugins. Reloads the
 * configuration on SIGHUP and when its file changes. Throws when the agent cannot start.
 */
export async function runAgent(sources: ConfigSources): Promise<void> {
  process.umask(umask);
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  // Children must not speak for the agent.
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete environment[name];
  using signals = stopSignals();
  const configuration = await loadAgentConfig(sources);
  const log = await createLogger(configuration.agent.log);
  const notification = { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID };
  const agent = await startAgent(configuration, { log, environment: notification });
  using running = new DisposableStack();
  running.use(superviseProcess(log, agent.metrics));
  running.use(reloadOnChange(agent, sources, log));
  await signals.first;
  await agent.stop(signals.second);
}

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

/** Reloads one after the other; a configuration with faults changes nothing. */
function reloadOnChange(agent: Agent, sources: ConfigSources, log: Logger): Disposable {
  let last = Promise.resolve();
  const reload = (): void => void (last = last.then(() => reloadOnce(agent, sources, log)));
  const stack = new DisposableStack();
  process.on("SIGHUP", reload);
  stack.defer(() => void process.off("SIGHUP", reload));
  if (sources.file !== undefined) stack.use(watchFile(sources.file, reload));
  return stack;
}

async function reloadOnce(agent: Agent, sources: ConfigSources, log: Logger): Promise<void> {
  try {
    const pending = await agent.reload(await loadAgentConfig(sources));
    if (pending.length === 0) log.info({}, "configuration reloaded");
    else log.warn({ keys: pending }, "configuration reloaded; some keys wait for a restart of the agent");
  } catch (error) {
    log.error({ error }, "configuration not reloaded; the old one stays");
  }
}
