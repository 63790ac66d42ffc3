import { humanSize } from "./size.ts";

const width = 24;
const intervalMs = 100;

/** One line on a terminal that says how far something is, and goes when it is done; elsewhere nothing is written. */
export class ProgressLine implements Disposable {
  readonly #stream: NodeJS.WritableStream;
  #isShown = false;
  #changedAt = 0;

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  /** `total` is 0 while it is not known. */
  show(what: string, bytes: number, total: number): void {
    if (!isTerminal(this.#stream)) return;
    // Faster than anybody reads would only slow the work down.
    if (performance.now() - this.#changedAt < intervalMs && bytes !== total) return;
    this.#changedAt = performance.now();
    this.#isShown = true;
    this.#stream.write(`\r\u001B[K${progressText(what, bytes, total)}`);
  }

  [Symbol.dispose](): void {
    if (this.#isShown) this.#stream.write("\r\u001B[K");
  }
}

/** A bar where the total is known; an estimate may be too low, so a bar is never more than full. */
export function progressText(what: string, bytes: number, total: number): string {
  if (bytes === 0) return what;
  if (total === 0) return `${what} ${humanSize(bytes)}`;
  const part = Math.min(1, bytes / total);
  const filled = Math.round(part * width);
  const bar = "#".repeat(filled) + "-".repeat(width - filled);
  return `${what} [${bar}] ${Math.floor(part * 100)}% of ${humanSize(total)}`;
}

const isTerminal = (stream: NodeJS.WritableStream): boolean => "isTTY" in stream && stream.isTTY === true;
