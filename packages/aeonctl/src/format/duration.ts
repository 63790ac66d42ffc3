const steps = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** A time span for people in its two largest units, such as `3h 20m`; milliseconds below a second count as 0s. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const first = steps.findIndex(([, size]) => seconds >= size);
  if (first === -1) return "0s";
  return steps
    .slice(first, first + 2)
    .map(([unit, size], index) => {
      const count = Math.floor((index === 0 ? seconds : seconds % steps[first]![1]) / size);
      return count === 0 && index > 0 ? "" : `${count}${unit}`;
    })
    .filter((part) => part !== "")
    .join(" ");
}
