import { Readable } from "node:stream";
import type { Pace } from "./object-store.ts";

/** Bytes that are let through at once. */
const sliceSize = 64 * 1024;

/** The bytes as a stream that goes no faster than `pace` allows; it ends early when the signal fires. */
export function pacedStream(bytes: Buffer, pace: Pace, signal: AbortSignal): Readable {
  return Readable.from(slices(bytes, pace, signal), { objectMode: false, highWaterMark: sliceSize });
}

async function* slices(bytes: Buffer, pace: Pace, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += sliceSize) {
    const slice = bytes.subarray(at, at + sliceSize);
    // The request ends by the same signal and tells why; a stream that fails would tell nobody.
    if (!(await isLetThrough(pace, slice.length, signal))) return;
    yield slice;
  }
}

const isLetThrough = (pace: Pace, bytes: number, signal: AbortSignal): Promise<boolean> =>
  pace(bytes, signal).then(
    () => true,
    () => false,
  );
