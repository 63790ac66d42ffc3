import { closeSync, fstatSync, openSync, renameSync, write } from "node:fs";

/** One decision. */
export interface AuditEntry {
  readonly method: string;
  readonly endpoint: string;
  readonly verdict: "allow" | "deny" | "fail";
  readonly status: number;
  readonly rule?: string;
  readonly field?: string;
  readonly message?: string;
  readonly ms: number;
}

const defaultLimit = 16 * 1024 ** 2;
/** Lines that wait for a slow disk; more are dropped and counted. */
const mostWaiting = 10_000;

/** Appends JSON lines to a file of bounded size; requests never wait for it. */
export class AuditLog implements Disposable {
  readonly #file: string;
  readonly #limit: number;
  readonly #base: Readonly<Record<string, string>>;
  #fd: number;
  #size: number;
  #waiting: string[] = [];
  #writing = false;
  #dropped = 0;

  constructor(file: string, base: Readonly<Record<string, string>>, limit = defaultLimit) {
    this.#file = file;
    this.#limit = limit;
    this.#base = base;
    this.#fd = openSync(file, "a", 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  add(entry: AuditEntry): void {
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped += 1;
      return;
    }
    const dropped = this.#dropped > 0 ? { dropped: this.#dropped } : {};
    this.#dropped = 0;
    this.#waiting.push(
      `${JSON.stringify({ time: new Date().toISOString(), ...this.#base, ...entry, ...dropped })}\n`,
    );
    this.#next();
  }

  #next(): void {
    if (this.#writing || this.#waiting.length === 0) return;
    const bytes = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    this.#writing = true;
    if (this.#size + bytes.length > this.#limit) this.#rotate();
    this.#size += bytes.length;
    write(this.#fd, bytes, (error) => {
      this.#writing = false;
      if (error) this.#dropped += 1;
      this.#next();
    });
  }

  #rotate(): void {
    try {
      renameSync(this.#file, `${this.#file}.1`);
      closeSync(this.#fd);
    } catch {
      return;
    }
    this.#fd = openSync(this.#file, "a", 0o600);
    this.#size = 0;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
