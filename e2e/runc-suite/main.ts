import { compareRuncSuite } from "./compare.ts";
import { differences } from "./tap.ts";

// `npm run conformance -- runc [FILE...]`: the whole suite takes about ten minutes on two cores.
const [peer, ...files] = process.argv.slice(2);
if (peer !== "runc") {
  console.error(
    "usage: npm run conformance -- runc [FILE...]\nFILE: a file of runc's tests/integration without .bats",
  );
  process.exitCode = 2;
} else {
  const { plain, ours, hooks } = await compareRuncSuite({
    ...(files.length > 0 && { files }),
    onProgress: (message) => console.error(`  ${message}`),
  });
  const count = (results: typeof plain): string =>
    ["ok", "skip", "not ok"]
      .map((outcome) => `${results.filter((result) => result.outcome === outcome).length} ${outcome}`)
      .join(", ");
  for (const { name, outcome } of plain) if (outcome === "not ok") console.log(`not ok with runc: ${name}`);
  console.log(`runc alone:   ${count(plain)}\nwith launcher: ${count(ours)}; ${hooks} hooks ran`);
  const differing = differences(plain, ours);
  for (const line of differing) console.log(line);
  console.log(differing.length === 0 ? "the same, line by line" : `${differing.length} tests differ`);
  process.exitCode = differing.length === 0 ? 0 : 1;
}
