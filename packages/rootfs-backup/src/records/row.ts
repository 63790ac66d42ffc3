import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";
import { errors } from "../errors.ts";

/** One row as SQLite gives it, with every integer as a bigint. */
export type Row = Readonly<Record<string, SQLOutputValue>>;

/** All rows of a query. */
export function select(sql: DatabaseSync, query: string, ...values: SQLInputValue[]): Row[] {
  const statement = sql.prepare(query);
  statement.setReadBigInts(true);
  return statement.all(...values);
}

const wrong = (name: string) =>
  errors.RECORD_MALFORMED(`column ${name} of the backup records does not hold what aeon wrote`);

export function text(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== "string") throw wrong(name);
  return value;
}

export function integer(row: Row, name: string): bigint {
  const value = row[name];
  if (typeof value !== "bigint") throw wrong(name);
  return value;
}

export const optionalText = (row: Row, name: string): string | undefined =>
  row[name] === null ? undefined : text(row, name);

export const optionalInteger = (row: Row, name: string): bigint | undefined =>
  row[name] === null ? undefined : integer(row, name);
