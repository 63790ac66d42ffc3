import type { TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";

const nanosPerSecond = 1_000_000_000n;

/** A protobuf Timestamp of nanoseconds since the epoch; `nanos` is never negative, also before 1970. */
export function timestampFromNanoseconds(at: bigint): MessageInitShape<typeof TimestampSchema> {
  const nanos = ((at % nanosPerSecond) + nanosPerSecond) % nanosPerSecond;
  return { seconds: (at - nanos) / nanosPerSecond, nanos: Number(nanos) };
}
