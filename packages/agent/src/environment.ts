/** The process's environment: the only place that reads it. */
// oxlint-disable-next-line node/no-process-env -- the command line is where the environment enters
export const environment: NodeJS.ProcessEnv = process.env;
