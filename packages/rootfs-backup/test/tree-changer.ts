/** Changes the files of a folder in every way at once, until it is killed. Arguments: the folder and a seed. */
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { seeded } from "@aeon/testkit";

const [folder = "", seed = "1"] = process.argv.slice(2);
const random = seeded(Number(seed));
const name = (): string => join(folder, `d${Math.floor(random() * 4)}`, `f${Math.floor(random() * 12)}`);
const size = (): number => Math.floor(random() ** 4 * 3_000_000);
const actions: readonly (() => void)[] = [
  () => writeFileSync(name(), "n".repeat(size())),
  () => appendFileSync(name(), "a".repeat(size())),
  () => truncateSync(name(), size()),
  () => truncateSync(name(), 0),
  () => rmSync(name(), { recursive: true, force: true }),
  () => renameSync(name(), name()),
  () => linkSync(name(), name()),
  () => symlinkSync("/etc/passwd", name()),
  () => mkdirSync(name()),
  () => renameSync(join(folder, "d1"), join(folder, "d9")),
  () => renameSync(join(folder, "d9"), join(folder, "d1")),
];
for (let index = 0; index < 4; index += 1) mkdirSync(join(folder, `d${index}`));
for (let index = 0; index < 40; index += 1) writeFileSync(name(), "x".repeat(size()));
process.stdout.write("ready\n");
for (;;) {
  try {
    actions[Math.floor(random() * actions.length)]?.();
  } catch {
    // It meets names that its own earlier steps removed or replaced.
  }
}
