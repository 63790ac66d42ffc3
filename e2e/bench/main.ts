import { readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import type { Benchmark, Row } from "./benchmark.ts";
import { table } from "./report.ts";

const suites = join(import.meta.dirname, "suites");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    help: { type: "boolean", short: "h" },
  },
});
const known = (await readdir(suites)).map((file) => basename(file, ".ts")).toSorted();
const asked = positionals.length > 0 ? positionals : known;
const unknown = asked.filter((name) => !known.includes(name));

if (values.help === true || unknown.length > 0) {
  if (unknown.length > 0) console.error(`no benchmark named ${unknown.join(", ")}`);
  console.error(
    `usage: npm run bench -- [NAME...] [--json FILE] [--quick] [--full]\nbenchmarks: ${known.join(", ")}`,
  );
  process.exitCode = values.help === true ? 0 : 2;
} else {
  const rows: Row[] = [];
  for (const name of asked) rows.push(...(await measure(name)));
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
}

async function measure(name: string): Promise<readonly Row[]> {
  const { default: benchmark } = (await import(join(suites, `${name}.ts`))) as { default: Benchmark };
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt);
  console.log(`\n${name}: ${benchmark.title}`);
  const rows: Row[] = [];
  const context = {
    signal: interrupted.signal,
    progress: (text: string) => console.error(`  ${text}`),
    quick: values.quick,
    full: values.full,
  };
  for await (const row of benchmark.run(context)) {
    rows.push(row);
    context.progress(`${row.name}: ${row.value.toPrecision(4)} ${row.unit}`);
  }
  process.removeListener("SIGINT", interrupt);
  console.log(`\n${table(rows)}\n`);
  return rows;
}
