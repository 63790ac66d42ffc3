import { linux } from "@aeon/core";

/** Exchanges two names as fast as it can until its standard input ends, then tells how often. */
const [first = "", second = ""] = process.argv.slice(2);
let swaps = 0;
let done = false;
process.stdin.on("end", () => (done = true)).resume();
process.stdout.write("swapping\n");
while (!done) {
  for (let index = 0; index < 50; index += 1) {
    await linux.renameExchange(first, second);
    swaps += 1;
  }
  await new Promise(setImmediate);
}
process.stdout.write(`${swaps}\n`);
