const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] as const;

/** Bytes for people: three significant digits at most, such as `1.5 MiB`. */
export function humanSize(bytes: number): string {
  let value = bytes;
  let step = 0;
  // 1023.95 would print as 1024.0.
  while (value >= (step === 0 ? 1024 : 1023.95) && step < units.length - 1) {
    value /= 1024;
    step++;
  }
  const digits = step === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[step]}`;
}
