import { join } from "node:path";

/** Where the toolkit's files are. */
export interface ToolkitPaths {
  readonly config: string;
  readonly hooks: string;
  readonly log: string;
  /** Folder of what is made from the configuration; can be deleted at any time. */
  readonly state: string;
  /** Folder of the records of engines' configurations before they were changed. */
  readonly originals: string;
  readonly programs: string;
  /** Folder of the JavaScript behind the programs. */
  readonly library: string;
}

/** The fixed places below `/`, or below another folder when a system is prepared in it. */
export const toolkitPaths = (prefix = "/"): ToolkitPaths => ({
  config: join(prefix, "etc/container-hooks/config.toml"),
  hooks: join(prefix, "etc/container-hooks/hooks.json"),
  log: join(prefix, "etc/container-hooks/container-hooks-runtime.log"),
  state: join(prefix, "var/lib/container-hooks"),
  originals: join(prefix, "etc/container-hooks/originals"),
  programs: join(prefix, "usr/bin"),
  library: join(prefix, "usr/lib/container-hooks"),
});
