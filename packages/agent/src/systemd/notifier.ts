import { errorMessage, linux, type Logger } from "@aeon/core";

/** Tells the service manager about the agent's state; does nothing outside systemd. */
export interface Notifier extends Disposable {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
}

export interface NotifierOptions {
  /** The variables NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are used, as in sd_notify(3). */
  readonly environment: NodeJS.ProcessEnv;
  readonly log: Logger;
}

/** Sends sd_notify datagrams, and WATCHDOG=1 twice per watchdog period for as long as the event loop turns. */
export function createNotifier({ environment, log }: NotifierOptions): Notifier {
  const address = environment["NOTIFY_SOCKET"];
  if (address === undefined || address === "") return silent;
  const send = (...lines: string[]): void => {
    try {
      linux.sendDatagramSync(address, lines.join("\n"));
    } catch (error) {
      log.warn({ address, error: errorMessage(error) }, "service manager cannot be notified");
    }
  };
  const periodMs = watchdogMs(environment);
  const watchdog =
    periodMs === undefined ? undefined : setInterval(() => send("WATCHDOG=1"), periodMs / 2).unref();
  return {
    ready: (status) => send("READY=1", `STATUS=${status}`),
    // systemd wants the time, so that it can tell this reload from an earlier one (Type=notify-reload).
    reloading: () => send("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => send("STOPPING=1"),
    [Symbol.dispose]: () => clearInterval(watchdog),
  };
}

const silent: Notifier = { ready() {}, reloading() {}, stopping() {}, [Symbol.dispose]() {} };

function watchdogMs(environment: NodeJS.ProcessEnv): number | undefined {
  const forOther =
    environment["WATCHDOG_PID"] !== undefined && environment["WATCHDOG_PID"] !== String(process.pid);
  const microseconds = Number(environment["WATCHDOG_USEC"]);
  return forOther || !(microseconds > 0) ? undefined : microseconds / 1000;
}
