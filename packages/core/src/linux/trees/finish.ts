/** Runs a job that yields now and then to its end, for threads and processes that do nothing else. */
export function finish<T>(job: Generator<void, T, undefined>): T {
  for (;;) {
    const step = job.next();
    if (step.done === true) return step.value;
  }
}
