import * as v from "valibot";

/** Bytes per unit; decimal units as in SI, binary ones as in IEC 80000-13. */
const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const millisecondUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function quantity(units: Readonly<Record<string, number>>, example: string) {
  const names = Object.keys(units).join(", ");
  return v.pipe(
    v.union([v.string(), v.number()], `Expected a text such as "${example}"`),
    v.rawTransform<string | number, number>(({ dataset, addIssue, NEVER }) => {
      const result = typeof dataset.value === "number" ? dataset.value : scaled(dataset.value, units);
      if (result !== undefined && Number.isSafeInteger(result) && result >= 0) return result;
      addIssue({
        message: `Expected a text such as "${example}" (units ${names}), not ${JSON.stringify(dataset.value)}`,
      });
      return NEVER;
    }),
  );
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

/** A number of bytes, written as `"20GiB"`, `"1.5MB"` or a plain integer. */
export const byteSize = () => quantity(byteUnits, "20GiB");

/** Milliseconds, written as `"30s"`, `"500ms"`, `"7d"` or a plain integer of milliseconds. */
export const duration = () => quantity(millisecondUnits, "30s");

/** An absolute path; may begin with `{root}/` or `{state}/`, which the loader replaces. */
export const absolutePath = () =>
  v.pipe(
    v.string(),
    v.check(
      (text) => /^(\/|\{(root|state)\}\/)/.test(text) && !text.includes("\0"),
      'Expected an absolute path, such as "/run/aeon"',
    ),
  );
