import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorMessage, linux, type ConfigSources, type Logger } from "@aeon/core";
import { standInFlag } from "./instance-lock.ts";

/** The control group of an agent that stands in, at the top of every hierarchy. */
const standInGroup = "/aeon-stand-in";

/** Milliseconds that it gets to load. */
const loadMs = 5000;

export interface StandInOptions {
  readonly sources: ConfigSources;
  /** Folder of its log. */
  readonly state: string;
  /** Milliseconds that it waits for the next agent. */
  readonly forMs: number;
  readonly log: Logger;
}

/**
 * Starts an agent that takes this one's place when it ends, until the next one comes, so that containers can start
 * meanwhile. It is outside of the control groups of this process's container, whose end would end it too. Failures are
 * logged.
 */
export async function startStandIn({ sources, state, forMs, log }: StandInOptions): Promise<void> {
  const { file, flags = {} } = sources;
  const args = [
    ...process.execArgv,
    process.argv[1] ?? "",
    "agent",
    ...(file === undefined ? [] : ["--config", file]),
    ...Object.entries(flags).flatMap(([key, value]) => ["--set", `${key}=${value}`]),
    standInFlag,
    String(process.pid),
    "--stand-in",
    `${forMs}ms`,
  ];
  try {
    const output = openSync(join(state, "stand-in.log"), "w", 0o600);
    const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", output] });
    closeSync(output);
    child.on("error", (error) => log.warn({ error: errorMessage(error) }, "nobody stands in for this agent"));
    if (child.pid === undefined) return;
    child.unref();
    const faults = await linux.moveToControlGroups(child.pid, process.pid, () => standInGroup);
    // The less there is to do when this one's socket is gone.
    const loaded = child.stdout === null ? Promise.resolve() : once(child.stdout, "data");
    await Promise.race([loaded, once(child, "exit"), sleep(loadMs, undefined, { ref: false })]);
    child.stdout?.destroy();
    log.info(
      { pid: child.pid, ...(faults.length > 0 && { faults }) },
      "another process stands in for this agent",
    );
  } catch (error) {
    log.warn({ error: errorMessage(error) }, "nobody stands in for this agent");
  }
}

/** Takes away the group that this process, which stands in, was put into; it ends right after that. */
export async function leaveStandInGroup(): Promise<void> {
  await linux.moveToControlGroups(process.pid, process.pid, () => "/");
  await linux.removeControlGroups(standInGroup);
}
