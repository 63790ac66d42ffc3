import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Where downloads are kept between runs: `$XDG_CACHE_HOME/aeon`, else `~/.cache/aeon`. */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment["XDG_CACHE_HOME"];
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), ".cache"), "aeon");
}
