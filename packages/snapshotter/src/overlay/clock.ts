/** Answers the current time in nanoseconds since the epoch. */
export type Clock = () => bigint;

const nanosecondsPerMillisecond = 1_000_000n;
/** A tick seen later than this after the previous look is not exact enough. */
const exact = 20_000n;
const attempts = 5;

/** Waits for the wall clock to tick, at most some milliseconds; the distance of the two clocks is then exact. */
function measureOffset(): bigint {
  let best = { error: exact * 1000n, offset: 0n };
  for (let attempt = 0; attempt < attempts && best.error > exact; attempt++) {
    const tick = nextTick();
    if (tick.error < best.error || best.offset === 0n) best = tick;
  }
  return best.offset;
}

function nextTick(): { error: bigint; offset: bigint } {
  const start = Date.now();
  let looked = process.hrtime.bigint();
  for (;;) {
    const now = Date.now();
    const at = process.hrtime.bigint();
    if (now !== start)
      return { error: at - looked, offset: BigInt(now) * nanosecondsPerMillisecond - (looked + at) / 2n };
    looked = at;
  }
}

/**
 * Makes a wall clock with nanosecond resolution: the monotonic clock plus an offset, measured anew whenever the
 * result leaves the millisecond that `Date.now()` says (the clock was set, or the machine slept).
 */
export function createClock(): Clock {
  let offset = measureOffset();
  return () => {
    const before = BigInt(Date.now()) * nanosecondsPerMillisecond;
    const now = process.hrtime.bigint() + offset;
    const after = BigInt(Date.now() + 1) * nanosecondsPerMillisecond;
    if (now >= before - exact && now < after + exact) return now;
    offset = measureOffset();
    return process.hrtime.bigint() + offset;
  };
}
