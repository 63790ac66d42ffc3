/** `BACKED_UP` of a generated enum as `backed-up`; `unknown` for a value that a newer agent sent. */
export function enumName(values: Readonly<Record<string, string | number>>, value: number): string {
  const name = Object.entries(values).find(([, number]) => number === value)?.[0];
  return value === 0 || name === undefined ? "unknown" : name.toLowerCase().replaceAll("_", "-");
}

/** Names that an enum can be asked for, without the unspecified value. */
export const enumNames = (values: Readonly<Record<string, string | number>>): readonly string[] =>
  Object.values(values)
    .filter((value) => typeof value === "number" && value !== 0)
    .map((value) => enumName(values, Number(value)));

/** The value behind a name that {@link enumNames} listed. */
export function enumValue<Value extends number>(
  values: Readonly<Record<string, Value>>,
  name: string,
): Value {
  const value = values[name.toUpperCase().replaceAll("-", "_")];
  if (value === undefined) throw new RangeError(`${name} is not one of ${enumNames(values).join(", ")}`);
  return value;
}
