// Loaded into the agent ahead of its own code (`node --import`). Samples how late timers come; SIGUSR2 starts the
// recording, the next one writes it to the file that AEON_PROBE_REPORT names.
import { openSync, readSync, writeFileSync } from "node:fs";
import type { LoopReport } from "./event-loop.ts";

const intervalMs = 2;
const schedule = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
const buffer = Buffer.alloc(128);

/** Milliseconds that the main thread was runnable and did not run, because others had the processors. */
function starvedMs(): number {
  const length = readSync(schedule, buffer, 0, buffer.length, 0);
  return Number(buffer.toString("latin1", 0, length).split(" ")[1]) / 1e6;
}

let samples: { lag: number; own: number }[] | undefined;
let last = { at: performance.now(), starved: starvedMs() };

setInterval(() => {
  const now = { at: performance.now(), starved: starvedMs() };
  const lag = Math.max(0, now.at - last.at - intervalMs);
  samples?.push({ lag, own: Math.max(0, lag - (now.starved - last.starved)) });
  last = now;
}, intervalMs).unref();

/** Of values in falling order, the one that the given part of them exceeds. */
const at = (values: readonly number[], part: number): number => values[Math.floor(values.length * part)] ?? 0;

process.on("SIGUSR2", () => {
  if (samples === undefined) {
    samples = [];
    return;
  }
  const sorted = (of: "lag" | "own"): number[] =>
    (samples ?? []).map((each) => each[of]).toSorted((a, b) => b - a);
  const [lags, owns] = [sorted("lag"), sorted("own")];
  const report: LoopReport = {
    samples: samples.length,
    lag: { max: lags[0] ?? 0, p999: at(lags, 0.001) },
    own: { max: owns[0] ?? 0, p999: at(owns, 0.001), over10: owns.filter((own) => own > 10).length },
  };
  samples = undefined;
  writeFileSync(process.env["AEON_PROBE_REPORT"] ?? "", JSON.stringify(report));
});
