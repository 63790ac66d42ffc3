import { execFile } from "node:child_process";
import { mkdtempDisposable, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { insertionArguments } from "./launcher.ts";

const execute = promisify(execFile);
const program = String.raw`s/^{\([[:space:]]*"\)/{"x":0,\1/`;

/** Whether a sed puts hooks into specifications without any and leaves others as they are, as GNU's does. */
export async function isUsableSed(sed: string): Promise<boolean> {
  try {
    await using folder = await mkdtempDisposable(join(tmpdir(), "container-hooks-"));
    const file = join(folder.path, "config.json");
    const isDone = async (text: string): Promise<boolean> => {
      await writeFile(file, text);
      const words = [...insertionArguments(program), "--", file];
      return execute(sed, words, { env: { LC_ALL: "C" } }).then(
        () => true,
        () => false,
      );
    };
    const plain = await isDone('{\n "a": 1\n}');
    if (!plain || (await readFile(file, "utf8")) !== '{"x":0,\n "a": 1\n}') return false;
    const other = '{"a":1,"Hooks":{}}';
    return !(await isDone(other)) && (await readFile(file, "utf8")) === other;
  } catch {
    return false;
  }
}
