import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";

/**
 * Renders the little of Helm's template language that the chart uses: values, the release's namespace, `toJson`, texts,
 * and a condition around a whole file. Throws on anything else, so that the chart cannot grow past what is tested.
 */
export async function renderChart(
  chart: string,
  namespace: string,
  overrides: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const values: unknown = {
    ...parse(await readFile(join(chart, "values.yaml"), "utf8")),
    ...overrides,
  };
  const folder = join(chart, "templates");
  const names = (await readdir(folder)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  return texts
    .map((text) => conditional(text, values))
    .map((text) =>
      text.replaceAll(/\{\{ (.*?) \}\}/g, (_, action: string) => evaluate(action, values, namespace)),
    )
    .join("\n---\n");
}

function conditional(text: string, values: unknown): string {
  const match = /^\{\{- if (\S+) \}\}\n([^]*)\{\{- end \}\}\n$/.exec(text);
  if (match === null) return text;
  return valueAt(match[1] ?? "", values) === true ? (match[2] ?? "") : "";
}

function evaluate(action: string, values: unknown, namespace: string): string {
  if (action === ".Release.Namespace") return namespace;
  const literal = /^"([^"]*)"$/.exec(action)?.[1];
  if (literal !== undefined) return literal;
  const [path = "", filter] = action.split(" | ");
  const value = valueAt(path, values);
  if (filter === "toJson") return JSON.stringify(value);
  if (filter === undefined && (typeof value === "string" || typeof value === "number")) return String(value);
  throw new Error(`the chart uses {{ ${action} }}, which the tests cannot render`);
}

function valueAt(path: string, values: unknown): unknown {
  if (!path.startsWith(".Values.")) throw new Error(`no value: ${path}`);
  let value = values;
  for (const key of path.slice(".Values.".length).split(".")) {
    if (typeof value !== "object" || value === null || !(key in value)) throw new Error(`no value: ${path}`);
    value = Object.entries(value).find(([name]) => name === key)?.[1];
  }
  return value;
}
