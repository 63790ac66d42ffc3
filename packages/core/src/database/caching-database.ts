import { DatabaseSync, type StatementSync } from "node:sqlite";

/** Statements kept; SQL that is put together from variable parts must not grow without bound. */
const capacity = 256;

/**
 * Compiles each SQL text once (compiling costs more than running a small statement). Two users of the same text
 * share the statement and its settings; an iterator must be finished before the same text runs again.
 */
export class CachingDatabase extends DatabaseSync {
  readonly #statements = new Map<string, StatementSync>();

  override prepare(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = super.prepare(text);
    this.#statements.set(text, statement);
    for (const oldest of this.#statements.keys()) {
      if (this.#statements.size <= capacity) break;
      this.#statements.delete(oldest);
    }
    return statement;
  }
}
