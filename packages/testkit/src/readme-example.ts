import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * Runs the first TypeScript example of a README under this Node, in the README's folder, and answers what it printed.
 * Throws when there is none or it fails.
 */
export async function runReadmeExample(readme: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const example = /^```ts\n(.*?)^```$/ms.exec(await readFile(readme, "utf8"))?.[1];
  if (example === undefined) throw new Error(`${readme} has no TypeScript example`);
  const { stdout } = await execute(
    process.execPath,
    ["--conditions=@aeon/source", "--input-type=module-typescript", "--eval", example],
    { cwd: dirname(readme), env: { ...process.env, ...env } },
  );
  return stdout;
}
