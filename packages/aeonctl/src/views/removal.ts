import { printable } from "../format/printable.ts";
import { humanSize } from "../format/size.ts";

/** What `aeonctl backup rm` says. */
export interface RemovalView {
  readonly id: string;
  readonly removed: boolean;
  /** Backups that need its layer, which therefore stays. */
  readonly neededBy: readonly string[];
  /** Bytes that nothing needs any more; they are deleted after a grace. */
  readonly freed: number;
}

export function removalText({ id, neededBy, freed }: RemovalView): string {
  const rest =
    neededBy.length > 0
      ? `its layer stays, because ${neededBy.length === 1 ? "one backup needs" : `${neededBy.length} backups need`} it: ${neededBy.join(", ")}`
      : `${humanSize(freed)} are deleted after a grace`;
  return `removed ${printable(id)}; ${printable(rest)}\n`;
}
