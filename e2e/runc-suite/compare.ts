import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { debianFile, temporaryFolder, testCache } from "@aeon/testkit";
import { bundleToolkit, installToolkit, toolkitPrograms } from "../servers/hooks-toolkit.ts";
import { prepareRuncSuite, suiteFiles } from "./prepare.ts";
import { enterRoot } from "../servers/enter-root.ts";
import { suiteTree } from "./suite-tree.ts";
import { parseTap, type TapResult } from "./tap.ts";

export interface Comparison {
  readonly plain: readonly TapResult[];
  readonly ours: readonly TapResult[];
  /** How often our hooks ran meanwhile. */
  readonly hooks: number;
}

export interface CompareOptions {
  /** Names of test files; all when absent. */
  readonly files?: readonly string[];
  readonly onProgress?: (message: string) => void;
}

/** Runs runc's own suite with runc and with the launcher before it, which puts hooks into every container. */
export async function compareRuncSuite({
  files,
  onProgress = () => {},
}: CompareOptions): Promise<Comparison> {
  await bundleToolkit();
  const source = await prepareRuncSuite(onProgress);
  const chosen = files ?? (await suiteFiles(source));
  const runc = await debianFile("runc", "usr/sbin/runc");
  await using folder = await temporaryFolder("suite");
  const notes = join(folder.path, "notes");
  const hook = join(folder.path, "hook");
  // Hooks of stages inside user namespaces run as nobody the host knows.
  await chmod(folder.path, 0o755);
  await writeFile(notes, "");
  await chmod(notes, 0o666);
  await writeFile(hook, `#!/bin/sh\ncat >/dev/null\necho "$1" >>'${notes}'\n`, { mode: 0o755 });
  const stages = ["createRuntime", "createContainer", "poststart", "poststop"];
  const hooks = Object.fromEntries(stages.map((stage) => [stage, [{ path: hook, args: ["hook", stage] }]]));
  const launcher = await installToolkit(join(folder.path, "toolkit"), runc, hooks);
  const options = { source, chosen, folder: folder.path };
  onProgress(`${chosen.length} files of runc's suite with runc`);
  const plain = await runBats({ ...options, name: "plain", program: runc });
  onProgress("the same with the launcher");
  const ours = await runBats({ ...options, name: "ours", program: launcher });
  const ran = (await readFile(notes, "utf8")).split("\n").length - 1;
  return { plain, ours, hooks: ran };
}

interface RunOptions {
  readonly source: string;
  readonly chosen: readonly string[];
  readonly folder: string;
  readonly name: string;
  /** What the suite takes for runc. */
  readonly program: string;
}

async function runBats(options: RunOptions): Promise<readonly TapResult[]> {
  const { source, chosen, folder, name, program } = options;
  const tree = await suiteTree();
  const shared = [folder, testCache, dirname(process.execPath), toolkitPrograms];
  const enter = enterRoot({ tree, folder: join(folder, name), shared });
  const tap = join(folder, `${name}.tap`);
  const files = chosen.map((file) => `${file}.bats`).join(" ");
  // The suite wants a terminal; what gives it one does not always see that the suite has ended.
  const inTerminal = `bats -t ${files} >${tap} 2>&1; kill -9 $PPID`;
  const bats = `cd '${join(source, "tests/integration")}' && exec script -qec '${inTerminal}' /dev/null`;
  const [unshare = "", ...words] = enter;
  const child = spawn(unshare, [...words, "env", `RUNC=${program}`, "/bin/sh", "-c", bats], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  await once(child, "close");
  const text = await readFile(tap, "utf8").catch(() => "");
  if (text === "") throw new Error(`bats did not run: ${errors}`);
  return parseTap(text);
}
