import type { Style } from "./style.ts";

export const outputFormats = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** True for the name of a format. */
export const isOutputFormat = (text: string): text is OutputFormat =>
  outputFormats.some((format) => format === text);

/** Says `value` in the format that was asked for; `table` is only called for tables. */
export async function render<Value>(
  value: Value,
  format: OutputFormat,
  table: (value: Value, style: Style) => string,
  style: Style,
): Promise<string> {
  if (format === "table") return table(value, style);
  if (format === "json") return `${JSON.stringify(value, undefined, 2)}\n`;
  // Loaded on demand: every other start would pay for it.
  const { stringify } = await import("yaml");
  return stringify(value, { lineWidth: 0 });
}
