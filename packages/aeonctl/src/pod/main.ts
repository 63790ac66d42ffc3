import { CommanderError } from "commander";
import { exitCodeOfName, exitCodes } from "../exit-codes.ts";
import { printable } from "../format/printable.ts";
import { ProgressLine } from "../format/progress-line.ts";
import { podProgram, type Ask } from "./program.ts";
import { callService, ServiceFailure } from "./service-client.ts";
import { resultText } from "./show.ts";
import { readToken } from "./token.ts";

/** The launcher says first under which name it was started. */
const [name = "aeonctl", ...args] = process.argv.slice(2);

const ask: Ask = async (service, action, params, { socket, tokenFile, output }) => {
  using line = new ProgressLine(process.stderr);
  const result = await callService({
    socket,
    token: readToken(tokenFile),
    service,
    action,
    params,
    onProgress: ({ phase = "", done = "0", total = "0" }) =>
      line.show(printable(phase), Number(done), Number(total)),
  });
  process.stdout.write(output === "json" ? `${JSON.stringify(result, undefined, 2)}\n` : resultText(result));
};

try {
  await podProgram(name, ask).parseAsync(args, { from: "user" });
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof ServiceFailure) {
    const reason = error.reason === "" ? error.code : error.reason;
    process.stderr.write(`${name}: ${printable(error.message)} [${reason}]\n`);
    return exitCodeOfName(error.code);
  }
  const text = error instanceof Error ? error.message : String(error);
  const isAbsent =
    error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED");
  process.stderr.write(
    isAbsent
      ? `${name}: no agent: ${printable(text)}; is the socket mounted, and does the agent run on this node?\n`
      : `${name}: ${printable(text)}\n`,
  );
  return isAbsent ? exitCodes.unavailable : exitCodes.failure;
}
