/** How one test of a suite ended. */
export interface TapResult {
  readonly name: string;
  readonly outcome: "ok" | "not ok" | "skip";
  /** What the test printed when it failed, or why it was skipped. */
  readonly detail: string;
}

/** Reads what bats prints with `-t`. Throws when a planned test is missing. */
export function parseTap(text: string): readonly TapResult[] {
  const results: { name: string; outcome: TapResult["outcome"]; detail: string }[] = [];
  let planned: number | undefined;
  for (const line of text.split(/\r?\n/)) {
    const [, count] = /^1\.\.(\d+)$/.exec(line) ?? [];
    const [, verdict, rest = ""] = /^(ok|not ok) \d+ (.*)$/.exec(line) ?? [];
    if (count !== undefined) planned = Number(count);
    else if (verdict !== undefined) {
      const [name = "", skip] = rest.split(" # skip");
      const outcome = skip === undefined ? (verdict === "ok" ? "ok" : "not ok") : "skip";
      results.push({ name, outcome, detail: skip?.trim() ?? "" });
    } else if (line.startsWith("#")) {
      const last = results.at(-1);
      if (last !== undefined) last.detail += `${line.slice(1)}\n`;
    }
  }
  if (planned === undefined || results.length !== planned)
    throw new Error(`${results.length} of ${planned ?? "no"} planned tests ended:\n${text.slice(-2000)}`);
  return results;
}

/** One line per test whose outcome differs, with what it printed; empty when both lists are the same. */
export function differences(plain: readonly TapResult[], ours: readonly TapResult[]): readonly string[] {
  const key = ({ name }: TapResult, index: number): string => `${index + 1} ${name}`;
  const before = new Map(plain.map((result, index) => [key(result, index), result]));
  const after = new Map(ours.map((result, index) => [key(result, index), result]));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [a, b] = [before.get(name), after.get(name)];
    if (a?.outcome === b?.outcome) return [];
    return [
      `${name}: ${a?.outcome ?? "absent"} with runc, ${b?.outcome ?? "absent"} with us\n${b?.detail ?? ""}`,
    ];
  });
}
