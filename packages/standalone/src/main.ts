import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { errorMessage } from "@aeon/core";
import { cacheFolder } from "./cache-folder.ts";
import { environment } from "./environment.ts";
import { runStandalone } from "./run-standalone.ts";

const lines = ["2.1", "1.7", "1.6", "path"] as const;
const defaultRoot = "/var/lib/aeon-standalone";

const usage = `usage: npm start -- [--root FOLDER] [--containerd ${lines.join("|")}]

Starts a private containerd with aeon as its default snapshotter, and the agent, and stays until Ctrl-C.

  --root FOLDER         where everything is kept (${defaultRoot})
  --containerd VERSION  2.1, 1.7 or 1.6 from the machine's Debian mirror, or the one on PATH
                        (default: the one on PATH if there is one, else 2.1)
`;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const options = readArguments(argv);
  if (typeof options === "number") return options;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  // A terminal that was closed must not keep its containers from being stopped.
  process.stdout.on("error", () => {});
  const env = environment();
  return runStandalone({
    // npm runs scripts in the checkout; what the user typed is relative to where they are.
    root: resolve(env["INIT_CWD"] ?? "", options.root),
    cache: cacheFolder(env),
    workspace: join(import.meta.dirname, "../../.."),
    ...(options.line && { line: options.line }),
    ...(env["PATH"] !== undefined && { searchPath: env["PATH"] }),
    output: process.stdout,
    signal: stop.signal,
  });
}

function readArguments(argv: readonly string[]): number | { root: string; line?: (typeof lines)[number] } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        root: { type: "string", default: defaultRoot },
        containerd: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
    const line = lines.find((name) => name === values.containerd);
    if (values.containerd !== undefined && line === undefined)
      throw new Error(`--containerd takes ${lines.join(", ")}, not ${values.containerd}`);
    return { root: values.root, ...(line && { line }) };
  } catch (error) {
    process.stderr.write(`aeon: ${errorMessage(error)}\n\n${usage}`);
    return 2;
  }
}
