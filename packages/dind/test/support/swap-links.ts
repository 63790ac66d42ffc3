import { linux } from "@aeon/core";

/** Exchanges two names as fast as it can until its standard input ends, then tells how often. */
const [first = "", second = ""] = process.argv.slice(2);
let swaps = 0;
const ending = new AbortController();
process.stdin.on("end", () => ending.abort(new Error("told to end"))).resume();
process.stdout.write("swapping\n");
while (!ending.signal.aborted) {
  const before = swaps;
  await Promise.all(Array.from({ length: 20 }, () => linux.renameExchange(first, second)));
  swaps += 20;
  if (before < 10_000 && swaps >= 10_000) process.stdout.write("enough\n");
  await new Promise(setImmediate);
}
process.stdout.write(`${swaps}\n`);
