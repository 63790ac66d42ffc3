import type { ToolkitPaths } from "../toolkit/toolkit-paths.ts";
import type { CtkLog } from "./ctk-log.ts";

/** What commands get from the edge of the program. */
export interface CtkContext {
  /** Folder below which all paths are. */
  readonly prefix: string;
  readonly paths: ToolkitPaths;
  readonly log: CtkLog;
  /** Standard output. */
  readonly print: (text: string) => void;
  readonly searchPath: string;
}
