import { mkdir } from "node:fs/promises";
import { errorMessage, type Logger } from "@aeon/core";

export interface ToolsOptions {
  /** Folder for versions of the programs. */
  readonly folder: string;
  /** The bundled program for containers. */
  readonly program: string;
  readonly log: Logger;
  /** Told once, when they cannot be made. */
  readonly failed: (reason: string) => void;
}

/** Milliseconds that a container's start waits for the programs: less than runtimes give a plugin (NRI: 2 s). */
const patienceMs = 1500;

/**
 * The programs for containers, made when the first container wants them: more than a hundred megabytes, copied once
 * per version.
 */
export class ToolsOnDemand implements AsyncDisposable {
  readonly #options: ToolsOptions;
  #making: Promise<string | undefined> | undefined;

  constructor(options: ToolsOptions) {
    this.#options = options;
  }

  /** Begins to make them, unless they are there. */
  prepare(): void {
    this.#making ??= this.#make();
  }

  /** Their folder; undefined while it takes too long, and for good when they cannot be made. */
  async folder(): Promise<string | undefined> {
    this.#making ??= this.#make();
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => {
      this.#options.log.warn({}, "a container starts without aeon's programs: they are still being copied");
      late.resolve(undefined);
    }, patienceMs);
    return Promise.race([this.#making, late.promise]).finally(() => clearTimeout(timer));
  }

  /** Waits for a copy under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#making;
  }

  async #make(): Promise<string | undefined> {
    const { folder, program, log, failed } = this.#options;
    try {
      const { makePodTools } = await import("./pod-tools.ts");
      await mkdir(folder, { recursive: true, mode: 0o711 });
      return await makePodTools({ folder, program });
    } catch (error) {
      const reason = errorMessage(error);
      log.warn({ error: reason }, "containers get no programs");
      failed(reason);
      return undefined;
    }
  }
}
