import { linux } from "@aeon/core";

/** Exchanges two names as fast as it can until its standard input ends, then tells how often. */
const [first = "", second = ""] = process.argv.slice(2);
let swaps = 0;
const ending = new AbortController();
process.stdin.on("end", () => ending.abort(new Error("told to end"))).resume();
process.stdout.write("swapping\n");
while (!ending.signal.aborted) {
  for (let index = 0; index < 50; index += 1) {
    await linux.renameExchange(first, second);
    swaps += 1;
  }
  await new Promise(setImmediate);
}
process.stdout.write(`${swaps}\n`);
