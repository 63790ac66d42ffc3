import { styleText } from "node:util";
import type { WriteStream } from "node:tty";
import type { Progress } from "./standalone.ts";

/** What {@link terminalProgress} writes to: a terminal, a pipe or a file. */
export type Output = Pick<WriteStream, "write"> & { readonly isTTY?: boolean };

/** Shows each step on a line of its own; on a terminal the line shows what is waited for until the step is done. */
export function terminalProgress(output: Output): Progress {
  const terminal = output.isTTY === true;
  const style = (format: "green" | "red" | "dim", text: string): string =>
    terminal ? styleText(format, text, { validateStream: false }) : text;
  const line = (text: string, final: boolean): void => {
    output.write(`${terminal ? "\r\u001B[K" : ""}  ${text}${final || !terminal ? "\n" : ""}`);
  };
  return {
    async step(title, work, describe) {
      const started = performance.now();
      if (terminal) line(style("dim", `… ${title}`), false);
      try {
        const result = await work((message) => line(style("dim", `… ${message}`), false));
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        const detail = describe?.(result);
        line(
          `${style("green", "✔")} ${title} ${style("dim", `${seconds} s${detail ? ` · ${detail}` : ""}`)}`,
          true,
        );
        return result;
      } catch (error) {
        line(`${style("red", "✘")} ${title}`, true);
        throw error;
      }
    },
  };
}
