/** The environment of this process, which its children inherit. The only place that reads it. */
export function environment(): NodeJS.ProcessEnv {
  // oxlint-disable-next-line node/no-process-env -- the edge of the program
  return process.env;
}

/** PATH of this process; the system's usual folders when there is none. */
export const searchPath = (): string => environment()["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin";
