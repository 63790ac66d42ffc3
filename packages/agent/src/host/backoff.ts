/** Pauses between attempts, milliseconds. */
export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  /** An attempt that ran so long counts as a success: the next pause is the initial one again. */
  readonly resetMs: number;
}

export const defaultBackoff: BackoffOptions = { initialMs: 500, maxMs: 60_000, resetMs: 60_000 };

/** Doubles with each failure in a row; between half and all of it, so that many do not come at once. */
export function backoffMs(failures: number, { initialMs, maxMs }: BackoffOptions): number {
  const full = Math.min(maxMs, initialMs * 2 ** Math.max(0, failures - 1));
  return full * (0.5 + Math.random() / 2);
}
