#!/usr/bin/env node
import { styleFor } from "./format/style.ts";
import { run } from "./run.ts";

// The reader of a pipe may have seen enough (`aeonctl snapshots ls | head`): that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

const { stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, style: styleFor(stdout) });
