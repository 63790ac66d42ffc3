import { AeonError, errorMessage } from "../error.ts";
import { errors } from "../errors.ts";

/** Primary result codes, sqlite.org/rescode.html. */
const busy = 5;
const locked = 6;
const readOnly = 8;
const ioError = 10;
const full = 13;
const cannotOpen = 14;

/** SQLite's primary result code, if SQLite is where the error comes from. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

/** For a database that could not be opened or migrated. */
export function openingError(error: unknown, path: string): AeonError {
  if (error instanceof AeonError) return error;
  const options = { cause: error, details: { path } };
  const code = resultCode(error);
  if (code === busy || code === locked)
    return errors.DATABASE_LOCKED(
      `${path} is in use by another process; stop the other agent or choose another root`,
      options,
    );
  if (code === full)
    return errors.DATABASE_FULL(`cannot open database ${path}: no space left on its disk`, options);
  return errors.DATABASE_UNUSABLE(`cannot open database ${path}: ${errorMessage(error)}`, options);
}

/** For a transaction that was rolled back. Errors of the work itself pass unchanged. */
export function writingError(error: unknown, path: string): unknown {
  const options = { cause: error, details: { path } };
  const code = resultCode(error);
  if (code === full)
    return errors.DATABASE_FULL(
      `cannot write ${path}: no space left on its disk; nothing was changed`,
      options,
    );
  if (code === readOnly || code === ioError || code === cannotOpen)
    return errors.DATABASE_WRITE_FAILED(
      `cannot write ${path}: ${errorMessage(error)}; nothing was changed`,
      options,
    );
  return error;
}
