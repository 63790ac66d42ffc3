import { readFile } from "node:fs/promises";

/** An image that is mounted now. */
export interface MountedImage {
  readonly image: string;
  readonly target: string;
}

/** The images below a folder that are mounted in this process's view of the file system, whoever mounted them. */
export async function mountedImages(folder: string): Promise<readonly MountedImage[]> {
  const lines = (await readFile("/proc/self/mountinfo", "latin1")).split("\n");
  return lines.flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [type, source = ""] = after.split(" ");
    const image = unescaped(source);
    if (type !== "erofs" || !image.startsWith(`${folder}/`)) return [];
    return [{ image, target: unescaped(before.split(" ")[4] ?? "") }];
  });
}

/** proc(5): blanks and backslashes are octal; bytes of other characters are as they are. */
const unescaped = (text: string): string =>
  Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    "latin1",
  ).toString();
